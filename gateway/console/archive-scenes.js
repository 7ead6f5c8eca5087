// The first images of an archive with their annotations, whatever the format: a scene has
// `name`, `width`, `height`, `file` (the image's entry, or null) and `shapes`. A shape has the
// name of its class, and one of `rings`, `line`, `points` (with `bones`), `mask`.

/** Characters of a COCO document that the page reads until it gives up. */
const MOST_TEXT = 64_000_000;

const READERS = { pictograph: pictographScenes, coco: cocoScenes };

export function canDraw(format) {
	return format in READERS;
}

export function scenesOf(archive, format, count, signal) {
	return READERS[format](archive, count, signal);
}

async function pictographScenes(archive, count, signal) {
	const names = [];
	for (const name of archive.entries.keys()) {
		if (/^(?:(?:train|valid|test)\/)?annotations\/.*\.json$/s.test(name)) names.push(name);
		if (names.length === count) break;
	}
	return Promise.all(
		names.map(async (name) => {
			const { image, annotations } = JSON.parse(new TextDecoder().decode(await archive.read(name, signal)));
			return {
				name: image.path,
				width: image.width,
				height: image.height,
				file: archive.entries.has(image.file) ? image.file : null,
				shapes: annotations.map(pictographShape),
			};
		}),
	);
}

function pictographShape(annotation) {
	const { name, type } = annotation;
	if (type === "polygon") return { name, rings: annotation.polygon.paths.map(pairs) };
	if (type === "polyline") return { name, line: pairs(annotation.polyline.path) };
	if (type === "keypoint") return { name, points: pairs([annotation.keypoint]), bones: [] };
	const box = annotation.oriented_box?.angle ? annotation.oriented_box : null;
	return { name, rings: [box ? turned(box) : corners(annotation.bounding_box)] };
}

function pairs(points) {
	return points.map(({ x, y }) => [x, y]);
}

function corners({ x, y, w, h }) {
	return [
		[x, y],
		[x + w, y],
		[x + w, y + h],
		[x, y + h],
	];
}

/** Degrees clockwise about the centre. */
function turned({ cx, cy, w, h, angle }) {
	const radians = (angle * Math.PI) / 180;
	const [cos, sin] = [Math.cos(radians), Math.sin(radians)];
	return corners({ x: -w / 2, y: -h / 2, w, h }).map(([x, y]) => [cx + x * cos - y * sin, cy + x * sin + y * cos]);
}

async function cocoScenes(archive, count, signal) {
	const found = [];
	for (const folder of ["", "train/", "valid/", "test/"]) {
		const document = `${folder}annotations/instances_${folder.slice(0, -1) || "default"}.json`;
		if (found.length < count && archive.entries.has(document)) {
			found.push(...(await cocoDocument(archive, document, folder, count - found.length, signal)));
		}
	}
	return found;
}

/**
 * The head of a document, whose rows stand on lines of their own and whose annotations come in
 * the order of their images: what follows is not read.
 */
async function cocoDocument(archive, document, folder, count, signal) {
	const scenes = new Map();
	let classes = null;
	let section = "head";
	for await (const line of linesOf(await archive.stream(document, signal))) {
		if (section === "head" && line.endsWith('"images":[')) {
			classes = new Map(JSON.parse(`${line}]}`).categories.map((category) => [category.id, category]));
			section = "images";
		} else if (line.startsWith("],")) {
			if (!scenes.size) break;
			section = "annotations";
		} else if (line.startsWith("]")) break;
		else if (section === "images" && line && scenes.size < count) {
			const { id, file_name: name, width, height } = JSON.parse(line.replace(/,$/, ""));
			const file = `${folder}images/${name}`;
			scenes.set(id, { name, width, height, file: archive.entries.has(file) ? file : null, shapes: [] });
		} else if (section === "annotations" && line) {
			const row = JSON.parse(line.replace(/,$/, ""));
			const scene = scenes.get(row.image_id);
			if (!scene) break;
			scene.shapes.push(...cocoShapes(row, classes.get(row.category_id)));
		}
	}
	return [...scenes.values()];
}

function cocoShapes({ bbox: [x, y, w, h], segmentation, keypoints }, { name, skeleton = [] }) {
	if (keypoints?.length) {
		const points = [];
		const seen = [];
		for (let at = 0; at < keypoints.length; at += 3) {
			points.push(keypoints.slice(at, at + 2));
			seen.push(keypoints[at + 2] > 0);
		}
		const bones = skeleton.map(([a, b]) => [a - 1, b - 1]).filter(([a, b]) => seen[a] && seen[b]);
		return [{ name, points: points.map((point, index) => (seen[index] ? point : null)), bones }];
	}
	if (segmentation?.counts) return [{ name, mask: segmentation }];
	if (segmentation?.length) return [{ name, rings: segmentation.map(flatPairs), isUnion: true }];
	return [{ name, rings: [corners({ x, y, w, h })] }];
}

function flatPairs(numbers) {
	return Array.from({ length: numbers.length / 2 }, (_, index) => numbers.slice(2 * index, 2 * index + 2));
}

async function* linesOf(stream) {
	const reader = stream.getReader();
	let rest = "";
	let read = 0;
	try {
		for (;;) {
			const { value, done } = await reader.read();
			if (done) break;
			read += value.length;
			if (read > MOST_TEXT) throw new Error("The annotations of the archive are too large to look at here.");
			const lines = (rest + value).split("\n");
			rest = lines.pop();
			yield* lines;
		}
		if (rest) yield rest;
	} finally {
		reader.cancel().catch(() => {});
	}
}
