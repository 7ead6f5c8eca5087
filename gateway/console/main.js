// Puts the console together: the key first, then the exports.

import { Actions } from "./actions.js";
import { Api, EXPORTS } from "./api.js";
import { byId, setText } from "./dom.js";
import { ExportsModel, MOST, PAGE } from "./exports-model.js";
import { ExportsTable } from "./exports-table.js";
import { Filters } from "./filters.js";
import { count, counted, duration } from "./format.js";
import { NewExport } from "./new-export.js";
import { countUnseen, notify } from "./notices.js";
import { forgetKey, storeKey, storedKey } from "./session.js";

const TICK_MS = 20_000;

/** Everything that one key sees, until it is signed out. */
class Console {
	constructor(key) {
		this.events = new AbortController();
		this.api = new Api(key, (role) => this.#showRole(role));
		this.model = new ExportsModel(this.api, {
			onChange: (changed) => {
				this.table.update(changed);
				this.#showEmpty();
			},
			onState: (...state) => this.#showState(...state),
			onFinished: (row) => this.#finished(row),
		});
		this.form = new NewExport(this.api, (row) => this.model.put(row));
		this.actions = new Actions(this.api, this.model, (like) => this.#openForm(like));
		this.table = new ExportsTable(byId("rows"), this.model, this.actions, () => this.#showSelection());
		this.filters = new Filters((parameters) => this.#select(parameters));
		this.#listen();
		this.ticker = setInterval(() => this.model.paused || this.table.tick(), TICK_MS);
		byId("key-view").hidden = true;
		byId("console-view").hidden = false;
		this.#select(this.filters.parameters());
		// The filters offer what is there; the table tells what is wrong.
		this.#loadCatalog().catch(() => {});
	}

	close() {
		this.events.abort();
		clearInterval(this.ticker);
		clearInterval(this.countdown);
		this.model.close();
		this.filters.close();
		this.form.close();
		byId("rows").replaceChildren();
	}

	#listen() {
		const on = (id, act) => byId(id).addEventListener("click", act, { signal: this.events.signal });
		on("new-export", () => this.#openForm());
		on("empty-new", () => this.#openForm());
		on("empty-clear", () => this.filters.clear());
		on("pause", () => this.#pause());
		on("show-more", () => this.model.showMore());
		on("try-again", () => this.#select(this.filters.parameters()));
		on("sign-out", () => {
			forgetKey();
			this.close();
			showKeyForm();
		});
		on("select-all", (event) => this.table.selectAll(event.target.checked));
		for (const act of ["download", "retry", "cancel", "remove"]) {
			on(`bulk-${act}`, () => this.actions[act](this.table.selection()));
		}
		on("bulk-clear", () => this.table.selectAll(false));
	}

	#select(parameters) {
		this.table.selectAll(false);
		this.model.select(parameters);
		this.#showEmpty();
	}

	#pause() {
		const paused = !this.model.paused;
		byId("pause").setAttribute("aria-pressed", String(paused));
		this.model.setPaused(paused);
	}

	async #loadCatalog() {
		const [datasets, formats] = await Promise.all([this.api.listDatasets(), this.api.listFormats()]);
		const names = (all) => all.map(({ name }) => name);
		this.form.offer(datasets, formats);
		this.filters.offer(names(datasets), names(formats));
	}

	async #openForm(like) {
		try {
			// Datasets come and go while the page is open.
			await this.#loadCatalog();
			this.form.open(like);
		} catch (error) {
			notify(error.message, "bad");
		}
	}

	#showEmpty() {
		const { order, loaded, total, limit } = this.model;
		const filtered = this.filters.parameters().size > 0;
		byId("exports").hidden = order.length === 0;
		byId("loading").hidden = loaded || this.refused !== undefined;
		byId("no-exports").hidden = !loaded || order.length > 0 || filtered;
		byId("no-matches").hidden = !loaded || order.length > 0 || !filtered;
		byId("show-more").hidden = order.length >= total || limit >= MOST;
		setText(byId("show-more"), `Show ${count(Math.min(PAGE, total - order.length))} more`);
		const part = order.length < total ? `${count(order.length)} of ` : "";
		setText(byId("shown"), loaded ? part + counted(total, "export") : "");
	}

	#showSelection() {
		const chosen = this.table.selection();
		const { actions } = this;
		byId("bulk").hidden = chosen.length === 0;
		setText(byId("bulk-count"), `${count(chosen.length)} selected`);
		const all = byId("select-all");
		all.checked = chosen.length > 0 && chosen.length === this.model.order.length;
		all.indeterminate = chosen.length > 0 && !all.checked;
		const some = (...statuses) => chosen.some((row) => statuses.includes(row.status));
		byId("bulk-download").hidden = !some("completed");
		byId("bulk-retry").hidden = !some("failed") || !actions.may("retry");
		byId("bulk-cancel").hidden = !some("pending", "processing") || !actions.may("cancel");
		byId("bulk-remove").hidden = !actions.may("delete");
	}

	#showRole(role) {
		setText(byId("role"), role);
		byId("new-export").hidden = byId("empty-new").hidden = !this.actions.may("create");
		this.table.update(this.model.order);
	}

	#showState(state, error, waitMs) {
		clearInterval(this.countdown);
		const live = byId("live");
		const banner = byId("banner");
		live.className = `live live-${state}`;
		this.refused = undefined;
		setText(live, { loading: "Connecting…", live: "Live", offline: "Offline", refused: "Stopped", paused: "Paused" }[state]);
		banner.hidden = state !== "offline" && state !== "refused";
		byId("try-again").hidden = state !== "refused";
		if (state === "offline") {
			const until = Date.now() + waitMs;
			const tell = () => setText(byId("banner-text"), `${error.message} Trying again in ${duration(Math.max(1, (until - Date.now()) / 1000))}.`);
			tell();
			this.countdown = setInterval(tell, 1000);
		} else if (state === "refused") {
			this.refused = error;
			if (error.status === 401) {
				forgetKey();
				this.close();
				showKeyForm(error.message);
				return;
			}
			setText(byId("banner-text"), error.message);
		}
		this.#showEmpty();
	}

	#finished(row) {
		countUnseen();
		if (row.status === "completed") notify(`${row.name} is completed.`, "good");
		else if (row.error_code !== "cancelled") notify(`${row.name} failed: ${row.error_message}`, "bad");
		else notify(`${row.name} is cancelled.`);
	}
}

function showKeyForm(problem = "") {
	byId("console-view").hidden = true;
	byId("key-view").hidden = false;
	byId("key-error").textContent = problem;
	byId("key-error").hidden = !problem;
	byId("key").value = "";
	byId("key").focus();
}

byId("key-form").addEventListener("submit", async (event) => {
	event.preventDefault();
	const key = byId("key").value.trim();
	const button = byId("key-submit");
	// A header takes no other characters; no key has them.
	if (!/^[\x21-\x7e]+$/.test(key)) {
		showKeyForm("That is no API key: keys look like pk_live_… and have no spaces.");
		return;
	}
	button.disabled = true;
	try {
		await new Api(key).json(`${EXPORTS}?limit=1`);
		storeKey(key);
		new Console(key);
	} catch (error) {
		showKeyForm(error.status === 401 ? "Cartouche does not know this key." : error.message);
	}
	button.disabled = false;
});

const key = storedKey();
if (key) new Console(key);
else showKeyForm();
