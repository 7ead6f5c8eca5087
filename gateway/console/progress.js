// How fast an export is built, and how long it will still take: from what the page has seen.

const WINDOW_MS = 20_000;

export class Pace {
	samples = new Map();

	observe(row, nowMs = performance.now()) {
		if (row.status !== "processing" || !row.bytes_total) {
			this.samples.delete(row.id);
			return;
		}
		const kept = (this.samples.get(row.id) ?? []).filter(([at, done]) => nowMs - at < WINDOW_MS && done <= row.bytes_done);
		if (!kept.length || kept.at(-1)[1] !== row.bytes_done) kept.push([nowMs, row.bytes_done]);
		this.samples.set(row.id, kept);
	}

	forget(id) {
		this.samples.delete(id);
	}

	/** Null while too little was seen. */
	of(row, nowMs = performance.now()) {
		const seen = this.samples.get(row.id);
		if (!seen || seen.length < 2) return null;
		const [[firstAt, firstDone]] = seen;
		const seconds = (nowMs - firstAt) / 1000;
		if (seconds < 1) return null;
		const perSecond = (seen.at(-1)[1] - firstDone) / seconds;
		if (perSecond <= 0) return null;
		return { perSecond, secondsLeft: (row.bytes_total - seen.at(-1)[1]) / perSecond };
	}
}
