// The exports that the page shows, kept up to date by one stream.

import { EXPORTS } from "./api.js";
import { follow } from "./events.js";
import { Pace } from "./progress.js";

export const PAGE = 100;
export const MOST = 1000;

const ENDED = new Set(["completed", "failed"]);

/** Whether nothing happens to an export by itself any more, but its expiry. */
export function isEnded(row) {
	return ENDED.has(row.status);
}

/** What is shown of the organization's exports: rows in order, how many there are, and news. */
export class ExportsModel {
	rows = new Map();
	order = [];
	total = 0;
	loaded = false;
	paused = false;
	limit = PAGE;
	filters = new URLSearchParams();
	pace = new Pace();
	changed = new Set();
	newest = "";
	frame = 0;
	stream = null;

	/**
	 * `onChange` hears a Set of ids that changed, at most once a frame; `onState` hears `loading`,
	 * `live`, `offline`, `refused` or `paused`, the error, and the milliseconds until the next try;
	 * `onFinished` hears of an export that has ended since the page was opened.
	 */
	constructor(api, { onChange, onState, onFinished }) {
		Object.assign(this, { api, onChange, onState, onFinished });
	}

	select(filters) {
		this.filters = filters;
		this.limit = PAGE;
		this.loaded = false;
		this.#connect();
	}

	showMore() {
		this.limit = Math.min(this.limit + PAGE, MOST);
		this.#connect();
	}

	/** Stops every update, or takes them up again with what is true by then. */
	setPaused(paused) {
		this.paused = paused;
		if (paused) {
			this.stream?.abort();
			this.onState("paused");
		} else this.#connect();
	}

	close() {
		this.stream?.abort();
		cancelAnimationFrame(this.frame);
	}

	/** Takes what an answer to one's own call says, where the stream will not, or not at once. */
	put(row) {
		if (this.rows.has(row.id) ? this.paused : !this.filters.size) this.#upsert([row]);
	}

	remove(ids) {
		this.#forget(ids);
		this.total = Math.max(0, this.total - ids.length);
	}

	#connect() {
		this.stream?.abort();
		this.stream = new AbortController();
		const { signal } = this.stream;
		const query = new URLSearchParams(this.filters);
		query.set("limit", this.limit);
		this.onState("loading");
		follow(
			this.api,
			`${EXPORTS}?${query}`,
			{
				onEvent: (event) => this.#take(event),
				onOpen: () => this.onState("live"),
				onBroken: (error, waitMs) => this.onState("offline", error, waitMs),
				onRefused: (error) => {
					this.#forget(this.order);
					this.onState("refused", error);
				},
			},
			signal,
		);
	}

	#take({ type, data }) {
		if (type === "page") {
			const kept = new Set(data.exports.map((row) => row.id));
			const gone = this.order.filter((id) => !kept.has(id));
			this.total = data.total;
			this.#forget(gone);
			this.order = data.exports.map((row) => row.id);
			this.#upsert(data.exports);
			this.loaded = true;
			// While paused a filter is answered once.
			if (this.paused) this.setPaused(true);
		} else if (type === "changes") {
			this.total = data.total ?? this.total;
			this.#forget(data.gone ?? []);
			this.#upsert(data.exports ?? []);
		}
	}

	#upsert(rows) {
		for (const row of rows) {
			const before = this.rows.get(row.id);
			this.rows.set(row.id, row);
			this.pace.observe(row);
			if (!before && !this.order.includes(row.id)) {
				const place = this.order.findIndex((id) => this.rows.get(id).created_at <= row.created_at);
				this.order.splice(place < 0 ? this.order.length : place, 0, row.id);
			}
			const isNews = before ? !isEnded(before) : this.loaded && row.created_at > this.newest;
			if (isNews && isEnded(row)) this.onFinished(row);
			this.changed.add(row.id);
		}
		this.#forget(this.order.slice(this.limit));
		this.newest = this.rows.get(this.order[0])?.created_at ?? "";
		this.#tell();
	}

	#forget(ids) {
		if (!ids.length) return;
		const gone = new Set(ids);
		for (const id of ids) {
			this.rows.delete(id);
			this.pace.forget(id);
			this.changed.add(id);
		}
		this.order = this.order.filter((id) => !gone.has(id));
		this.#tell();
	}

	#tell() {
		if (this.frame) return;
		// A hidden tab gets no frames, and its title still counts what has finished.
		this.frame = requestAnimationFrame(() => {
			this.frame = 0;
			const changed = this.changed;
			this.changed = new Set();
			this.onChange(changed);
		});
	}
}
