// What one can do to exports, from a row, from its details or to several at once.

import { ask } from "./confirm.js";
import { h } from "./dom.js";
import { counted } from "./format.js";
import { isEnded } from "./exports-model.js";
import { look } from "./look-inside.js";
import { reasonsOf } from "./losses.js";
import { notify } from "./notices.js";

/** The least role of each act that not everybody may. */
const ROLES = { create: "member", retry: "member", cancel: "member", delete: "admin" };
// Browsers drop downloads that follow each other at once.
const BETWEEN_DOWNLOADS_MS = 600;
const DELETED_AT_ONCE = 1000;

/** The acts on exports; each takes a list of them. */
export class Actions {
	constructor(api, model, again) {
		Object.assign(this, { api, model, again });
	}

	may(act) {
		return this.api.may(ROLES[act]);
	}

	look(row) {
		return look(this.api, row, () => this.download([row]));
	}

	reasons(row) {
		return reasonsOf(this.api, row);
	}

	download = async (rows) => {
		const ready = rows.filter((row) => row.status === "completed");
		for (const [index, row] of ready.entries()) {
			if (index) await new Promise((resolve) => setTimeout(resolve, BETWEEN_DOWNLOADS_MS));
			await this.#each([row], async () => {
				const link = await this.api.downloadLink(row.id);
				h("a", { href: link.download_url, download: "", rel: "noreferrer" }).click();
			});
		}
	};

	retry = async (rows) => {
		const failed = rows.filter((row) => row.status === "failed");
		const done = await this.#each(failed, async (row) => this.model.put(await this.api.retryExport(row.id)));
		if (done) notify(`Trying again: ${named(failed, done)}.`);
	};

	cancel = async (rows) => {
		const running = rows.filter((row) => !isEnded(row));
		if (!running.length) return;
		const sure = await ask({
			title: `Cancel ${named(running)}?`,
			text: "What was built so far is removed. The export stays in the list as failed and can be retried.",
			verb: running.length === 1 ? "Cancel export" : "Cancel exports",
			back: "Keep building",
		});
		if (sure) await this.#each(running, async (row) => this.model.put(await this.api.cancelExport(row.id)));
	};

	remove = async (rows) => {
		if (!rows.length) return;
		const sure = await ask({
			title: `Delete ${named(rows)}?`,
			text: "The archive is removed from the store, and links to it end. This cannot be undone.",
			names: rows.length > 1 ? rows.map((row) => row.name) : [],
			verb: "Delete",
			back: "Keep",
		});
		if (!sure) return;
		try {
			for (let start = 0; start < rows.length; start += DELETED_AT_ONCE) {
				const ids = rows.slice(start, start + DELETED_AT_ONCE).map((row) => row.id);
				const { deleted } = await this.api.deleteExports(ids);
				this.model.remove(ids);
				notify(`${named(rows, deleted.length)} deleted.`);
			}
		} catch (error) {
			notify(error.message, "bad");
		}
	};

	/** One after the other; how many went well. A refusal is told and the rest goes on. */
	async #each(rows, act) {
		let done = 0;
		for (const row of rows) {
			try {
				await act(row);
				done += 1;
			} catch (error) {
				notify(`${row.name}: ${error.message}`, "bad");
			}
		}
		return done;
	}
}

function named(rows, done = rows.length) {
	return done === 1 && rows.length === 1 ? rows[0].name : counted(done, "export");
}
