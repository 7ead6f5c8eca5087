// The table of exports: one row each, of which only what has changed is written.

import { button, chip, fill, h, icon, setText } from "./dom.js";
import { ExportDetails } from "./export-details.js";
import { bytes, counted, duration, moment, relative } from "./format.js";
import { isEnded } from "./exports-model.js";

const STAGES = { plan: "Planning", build: "Building", finish: "Finishing and checking" };
const CHIPS = {
	dropped: "annotations left out",
	degraded: "annotations in a poorer shape",
	clamped: "annotations moved to the edge of their image",
	renamed: "images under another name",
	unannotated: "images without annotations",
};
const SOON_MS = 3 * 86_400_000;

function warningChips(warnings) {
	return Object.keys(CHIPS)
		.filter((kind) => warnings?.[kind])
		.map((kind) => chip(kind, warnings[kind], CHIPS[kind]));
}

/** Rows by id, in the order of the model. */
export class ExportsTable {
	rows = new Map();

	constructor(body, model, actions, onSelection) {
		Object.assign(this, { body, model, actions, onSelection });
	}

	/** Writes the rows of these ids, and puts all rows in order. */
	update(changed) {
		for (const id of changed) {
			const row = this.model.rows.get(id);
			if (!row) this.#remove(id);
			else if (this.rows.has(id)) this.rows.get(id).update(row);
			else this.rows.set(id, new Row(this, row));
		}
		let place = this.body.firstChild;
		for (const id of this.model.order) {
			const { element, panel } = this.rows.get(id);
			for (const node of panel ? [element, panel] : [element]) {
				if (node === place) place = place.nextSibling;
				else this.body.insertBefore(node, place);
			}
		}
		this.onSelection();
	}

	tick() {
		for (const row of this.rows.values()) row.tick();
	}

	selectAll(on) {
		for (const row of this.rows.values()) row.box.checked = on;
		this.onSelection();
	}

	selection() {
		return this.model.order.filter((id) => this.rows.get(id)?.box.checked).map((id) => this.model.rows.get(id));
	}

	#remove(id) {
		const row = this.rows.get(id);
		if (!row) return;
		const hadFocus = row.element.contains(document.activeElement) || row.panel?.contains(document.activeElement);
		const next = row.element.nextElementSibling ?? row.element.previousElementSibling;
		row.element.remove();
		row.panel?.remove();
		this.rows.delete(id);
		if (hadFocus) (next?.querySelector?.(".row-name") ?? document.getElementById("new-export")).focus();
	}
}

class Row {
	constructor(table, row) {
		this.table = table;
		this.export = row;
		this.panel = null;
		this.details = null;
		this.box = h("input", { type: "checkbox", label: `Select ${row.name}`, on: { change: () => table.onSelection() } });
		this.name = button(null, () => this.toggle(), { class: "row-name", aria: { expanded: "false", controls: `details-${row.id}` } });
		this.name.append(icon("more"), h("span.name", row.name));
		this.dataset = h("span.muted");
		const cell = (label, ...children) => h("td", { data: { label } }, ...children);
		this.format = cell("Format");
		this.status = h("span.status");
		this.bar = h("progress", { max: 1, label: `Progress of ${row.name}` });
		this.note = h("span.note");
		this.chips = h("span.chips");
		this.contents = cell("Contents");
		this.size = cell("Size");
		this.created = h("time");
		this.expires = h("time");
		this.buttons = h("td.row-actions");
		this.element = h("tr.row",
			h("td.tick", this.box),
			h("th", { scope: "row" }, this.name, this.dataset),
			this.format,
			cell("Status", h("span.status-line", this.status, this.note), this.bar, this.chips),
			this.contents,
			this.size,
			cell("Created", this.created),
			cell("Expires", this.expires),
			this.buttons,
		);
		this.update(row);
	}

	update(row) {
		this.export = row;
		setText(this.dataset, row.dataset_name);
		setText(this.format, row.format);
		setText(this.contents, row.image_count === null ? "–" : `${counted(row.image_count, "image")}\n${counted(row.annotation_count, "annotation")}`);
		this.#writeState(row);
		this.#writeButtons(row);
		this.tick();
		this.details?.update(row);
	}

	tick() {
		const row = this.export;
		writeTime(this.created, row.created_at);
		writeTime(this.expires, row.expires_at);
		this.expires.classList.toggle("soon", Boolean(row.expires_at) && Date.parse(row.expires_at) - Date.now() < SOON_MS);
	}

	toggle() {
		if (this.panel) {
			this.panel.remove();
			this.panel = this.details = null;
		} else {
			this.details = new ExportDetails(this.export, this.table.actions);
			this.panel = h("tr.panel", { id: `details-${this.export.id}` }, h("td", { colSpan: 9 }, this.details.element));
			this.element.after(this.panel);
		}
		this.name.setAttribute("aria-expanded", String(Boolean(this.panel)));
		this.element.classList.toggle("open", Boolean(this.panel));
	}

	#writeState(row) {
		const running = row.status === "processing";
		setText(this.status, row.status);
		this.status.className = `status status-${row.status}`;
		setText(this.note, this.#noteOf(row));
		this.bar.hidden = !running;
		this.bar.value = row.progress;
		setText(this.size, running && row.bytes_total ? `${bytes(row.bytes_done)}\nof ${bytes(row.bytes_total)}` : bytes(row.file_size));
		const key = JSON.stringify(row.warnings);
		if (this.chipsKey !== key) {
			this.chipsKey = key;
			fill(this.chips, warningChips(row.warnings));
		}
	}

	#noteOf(row) {
		if (row.status === "failed") return row.error_message;
		if (row.status === "pending") return "Waiting for a worker";
		if (row.status === "completed") return "";
		const parts = [`${Math.floor(row.progress * 100)} %`];
		const pace = this.table.model.pace.of(row);
		if (pace) parts.push(`${bytes(pace.perSecond)}/s`, `${duration(pace.secondsLeft)} left`);
		else if (STAGES[row.stage]) parts.push(STAGES[row.stage]);
		return parts.join(" · ");
	}

	#writeButtons(row) {
		const { actions } = this.table;
		const key = `${row.status} ${actions.api.role}`;
		if (this.buttonsKey === key) return;
		this.buttonsKey = key;
		const had = this.buttons.contains(document.activeElement);
		const act = (name, words, done) =>
			button(icon(name), () => done([this.export]), { class: "quiet", title: words, label: `${words} ${row.name}` });
		fill(
			this.buttons,
			row.status === "completed" && act("look", "Look inside", ([one]) => actions.look(one)),
			row.status === "completed" && act("download", "Download", actions.download),
			row.status === "failed" && actions.may("retry") && act("retry", "Retry", actions.retry),
			!isEnded(row) && actions.may("cancel") && act("cancel", "Cancel", actions.cancel),
			actions.may("delete") && act("remove", "Delete", actions.remove),
		);
		if (had) (this.buttons.firstElementChild ?? this.name).focus();
	}
}

function writeTime(element, time) {
	setText(element, time ? relative(time) : "–");
	if (time && element.dateTime !== time) {
		element.dateTime = time;
		element.title = moment(time);
	}
}
