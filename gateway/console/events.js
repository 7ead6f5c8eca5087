// Server-Sent Events over fetch, so that the key travels in a header. Format:
// https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation

import { ApiError } from "./api.js";

/** Heartbeats come every 15 seconds: a stream that is silent for longer than three is dead. */
const SILENCE_MS = 50_000;
const LONGEST_WAIT_MS = 30_000;

/** Lines of a stream in, events out. */
export class EventParser {
	rest = "";
	lastId = "";
	retryMs = 1000;

	constructor(onEvent) {
		this.onEvent = onEvent;
		this.#clear();
	}

	/** Takes the next piece of text, cut anywhere. */
	push(text) {
		const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
		this.rest = lines.pop();
		for (const line of lines) this.#line(line);
	}

	#line(line) {
		if (line === "") {
			if (this.data.length) this.onEvent({ type: this.type || "message", data: this.data.join("\n") });
			this.#clear();
			return;
		}
		const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
		if (field === "data") this.data.push(value);
		else if (field === "event") this.type = value;
		else if (field === "id" && !value.includes("\0")) this.lastId = value;
		else if (field === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
	}

	#clear() {
		this.type = "";
		this.data = [];
	}
}

/**
 * Follows a path until `signal` ends it, connecting again whenever it breaks.
 * After `onBroken(error, waitMs)` it tries again, after `onRefused(error)` it does not.
 */
export async function follow(api, path, { onEvent, onOpen, onBroken, onRefused }, signal) {
	let failures = 0;
	let lastId = "";
	let retryMs = 1000;
	while (!signal.aborted) {
		let problem = null;
		const attempt = new AbortController();
		const giveUp = () => attempt.abort();
		signal.addEventListener("abort", giveUp);
		let watchdog;
		const alive = () => {
			clearTimeout(watchdog);
			watchdog = setTimeout(giveUp, SILENCE_MS);
		};
		try {
			alive();
			const headers = { Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) };
			const answer = await api.request(path, { headers, signal: attempt.signal });
			onOpen();
			const parser = new EventParser(({ type, data }) => onEvent({ type, data: JSON.parse(data) }));
			const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
			for (;;) {
				const { value, done } = await reader.read();
				if (done) break;
				alive();
				parser.push(value);
				failures = 0;
				lastId = parser.lastId;
				retryMs = parser.retryMs;
			}
		} catch (error) {
			problem = error;
		} finally {
			clearTimeout(watchdog);
			signal.removeEventListener("abort", giveUp);
		}
		if (signal.aborted) return;
		if (problem instanceof ApiError && problem.status >= 400 && problem.status < 500 && problem.status !== 429) {
			onRefused(problem);
			return;
		}
		const waitMs = Math.min(retryMs * 2 ** failures, LONGEST_WAIT_MS) * (0.75 + Math.random() / 2);
		// A stream that ends in order (the server restarts) is no failure yet.
		if (problem || failures) onBroken(problem ?? new ApiError(0, "unreachable", "The connection ended."), waitMs);
		failures += 1;
		await pause(waitMs, signal);
	}
}

function pause(ms, signal) {
	return new Promise((resolve) => {
		const done = () => {
			clearTimeout(timer);
			signal.removeEventListener("abort", done);
			removeEventListener("online", done);
			resolve();
		};
		const timer = setTimeout(done, ms);
		signal.addEventListener("abort", done);
		addEventListener("online", done);
	});
}
