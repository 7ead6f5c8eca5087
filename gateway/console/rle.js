// Masks of COCO: runs down the columns, off first. The text packs each run as groups of five
// bits, from the third run on as the difference to the run two before (cocoapi, maskApi.c).

/** The runs of a mask, from text or from a plain list. */
export function runsOf(counts) {
	if (typeof counts !== "string") return counts;
	const runs = [];
	for (let at = 0; at < counts.length; ) {
		let value = 0;
		let shift = 0;
		let group;
		do {
			group = counts.charCodeAt(at) - 48;
			value += (group & 31) * 2 ** shift;
			shift += 5;
			at += 1;
		} while (group & 32 && at < counts.length);
		if (group & 16) value -= 2 ** shift;
		if (runs.length > 2) value += runs.at(-2);
		runs.push(value);
	}
	return runs;
}

/** A mask as an image: opaque where it is on. */
export function maskImage({ size: [height, width], counts }) {
	const image = new ImageData(width, height);
	const pixels = new Uint32Array(image.data.buffer);
	let place = 0;
	let on = false;
	for (const run of runsOf(counts)) {
		const end = Math.min(place + run, pixels.length);
		if (on) for (; place < end; place += 1) pixels[(place % height) * width + Math.floor(place / height)] = 0xffffffff;
		place = end;
		on = !on;
	}
	return image;
}
