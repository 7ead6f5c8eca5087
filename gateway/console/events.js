// Server-Sent Events over fetch, so that the key travels in a header. Format:
// https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation

import { ApiError } from "./api.js";

/** Heartbeats come every 15 seconds: a stream that is silent for longer than three is dead. */
const SILENCE_MS = 50_000;
const LONGEST_WAIT_MS = 30_000;
/** Between two looks of a hidden tab: rare enough for limits of calls, which count each. */
const HIDDEN_MS = 30_000;

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
 *
 * A hidden tab only takes the first event, now and then: of HTTP/1.1 a browser opens six
 * connections to a server, for all of its tabs.
 */
export async function follow(api, path, { onEvent, onOpen, onBroken, onRefused }, signal) {
	let failures = 0;
	let lastId = "";
	let retryMs = 1000;
	while (!signal.aborted) {
		let problem = null;
		let isTurned = false;
		const attempt = new AbortController();
		const giveUp = () => attempt.abort();
		const turn = () => {
			isTurned = true;
			giveUp();
		};
		signal.addEventListener("abort", giveUp, { signal: attempt.signal });
		document.addEventListener("visibilitychange", turn, { signal: attempt.signal });
		let watchdog;
		const alive = () => {
			clearTimeout(watchdog);
			watchdog = setTimeout(giveUp, SILENCE_MS);
		};
		try {
			alive();
			const headers = { Accept: "text/event-stream", ...(lastId && !document.hidden ? { "Last-Event-ID": lastId } : {}) };
			const answer = await api.request(path, { headers, signal: attempt.signal });
			onOpen();
			const parser = new EventParser(({ type, data }) => {
				onEvent({ type, data: JSON.parse(data) });
				if (document.hidden) turn();
			});
			const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
			for (;;) {
				const { value, done } = await reader.read();
				if (done) break;
				alive();
				parser.push(value);
				failures = 0;
				({ lastId, retryMs } = parser);
			}
		} catch (error) {
			problem = error;
		}
		clearTimeout(watchdog);
		giveUp();
		if (signal.aborted) return;
		if (isTurned) {
			await pause(document.hidden ? HIDDEN_MS : 0, signal);
			continue;
		}
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

/** Waits, no longer than until the network is back, or the tab is shown. */
function pause(ms, signal) {
	return new Promise((resolve) => {
		const over = new AbortController();
		const done = () => {
			over.abort();
			clearTimeout(timer);
			resolve();
		};
		const timer = setTimeout(done, ms);
		const until = { signal: over.signal };
		signal.addEventListener("abort", done, until);
		document.addEventListener("visibilitychange", done, until);
		addEventListener("online", done, until);
	});
}
