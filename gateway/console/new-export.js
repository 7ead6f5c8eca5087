// The form of a new export, whose preview answers while one chooses.

import { randomKey } from "./api.js";
import { ClassList } from "./class-list.js";
import { byId, chip, fill, h, list } from "./dom.js";
import { bytes, count, counted } from "./format.js";
import { notify } from "./notices.js";

const WAIT_MS = 250;
// Notes that nobody may miss.
const URGENT = /is empty|has an export/;

/** The dialog; `open` shows it, empty or like an export that there is. */
export class NewExport {
	constructor(api, onCreated) {
		this.api = api;
		this.onCreated = onCreated;
		this.dialog = byId("new-export-dialog");
		this.form = byId("new-export-form");
		this.fields = this.form.elements;
		this.classes = new ClassList(byId("class-list"), () => this.#changed());
		this.preview = byId("preview");
		this.events = new AbortController();
		const on = (target, event, listener) => target.addEventListener(event, listener, { signal: this.events.signal });
		on(this.form, "submit", (event) => {
			event.preventDefault();
			this.#create();
		});
		on(this.form, "input", (event) => {
			if (event.target === this.fields.name) this.isNamed = true;
			if (!event.target.closest("#class-list")) this.#changed();
		});
		on(this.fields.dataset, "change", () => this.#chooseDataset());
		on(this.fields.format, "change", () => this.#writeFormat());
		on(this.dialog, "close", () => this.question?.abort());
		on(byId("new-export-cancel"), "click", () => this.dialog.close());
	}

	offer(datasets, formats) {
		this.datasets = datasets;
		this.formats = formats;
	}

	/** Begins with the parameters of an export, where one is given. */
	open(like = null) {
		this.form.reset();
		this.isNamed = false;
		this.#fail(null);
		fill(this.fields.dataset, this.datasets.map(({ name, image_count: n }) => h("option", { value: name }, `${name} (${counted(n, "image")})`)));
		fill(this.fields.format, this.formats.map(({ name }) => h("option", { value: name }, name)));
		if (like) {
			this.fields.dataset.value = like.dataset_name;
			this.fields.format.value = like.format;
			this.fields.status.value = like.status_filter ?? "";
			this.fields.images.checked = like.include_images;
			this.fields.splits.checked = like.organize_by_split;
			this.fields.unannotated.checked = like.include_unannotated;
		}
		this.#writeFormat();
		this.#chooseDataset(like?.class_filter);
		this.dialog.showModal();
		(this.datasets.length ? this.fields.dataset : byId("new-export-cancel")).focus();
	}

	close() {
		this.events.abort();
		this.dialog.close();
	}

	#chooseDataset(chosen = null) {
		const dataset = this.datasets.find(({ name }) => name === this.fields.dataset.value);
		this.countsOf = null;
		this.classes.offer(dataset?.classes ?? [], chosen);
		this.#changed();
	}

	#writeFormat() {
		const format = this.formats.find(({ name }) => name === this.fields.format.value);
		fill(
			byId("format-note"),
			// Descriptions are written in Markdown, for README.
			h("span", format?.description.replaceAll("`", "")),
			format?.cannot_hold && h("span.cannot", `Cannot hold: ${format.cannot_hold}`),
		);
	}

	#choice() {
		const { fields } = this;
		const chosen = this.classes.chosen();
		return {
			dataset_name: fields.dataset.value,
			name: fields.name.value.trim(),
			format: fields.format.value,
			include_images: fields.images.checked,
			class_filter: chosen,
			status_filter: fields.status.value || null,
			include_unannotated: chosen !== null && fields.unannotated.checked,
			organize_by_split: fields.splits.checked,
		};
	}

	#changed() {
		if (!this.isNamed) this.fields.name.value = suggested(this.fields.dataset.value, this.fields.format.value);
		this.fields.unannotated.disabled = this.classes.chosen() === null;
		this.#fail(null);
		// Another choice is another export.
		this.idempotencyKey = randomKey();
		this.question?.abort();
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.#ask(), WAIT_MS);
	}

	async #ask() {
		const choice = this.#choice();
		this.preview.ariaBusy = "false";
		this.#allow(false);
		if (!choice.dataset_name) {
			fill(this.preview, h("p.alert", "There is no dataset yet. Import images first: README says how."));
			return;
		}
		if (choice.class_filter?.length === 0) {
			fill(this.preview, h("p.alert", "Nothing is selected: no class is ticked."));
			return;
		}
		this.question = new AbortController();
		const { signal } = this.question;
		this.preview.ariaBusy = "true";
		try {
			const answers = [this.api.preview(choice, signal)];
			// What the other classes would add is only told where no class is left out.
			const all = JSON.stringify([choice.dataset_name, choice.status_filter]);
			if (choice.class_filter && this.countsOf !== all) {
				answers.push(this.api.preview({ ...choice, name: null, class_filter: null }, signal));
			}
			const [answer, every] = await Promise.all(answers);
			if (!choice.class_filter || every) {
				this.countsOf = all;
				this.classes.count((every ?? answer).classes);
			}
			this.#write(answer);
			this.#allow(answer.image_count > 0 && choice.name !== "");
		} catch (error) {
			if (error.name === "AbortError") return;
			fill(this.preview, h("p.alert", error.message));
		}
		this.preview.ariaBusy = "false";
	}

	#write(answer) {
		const notes = (urgent) => answer.notes.filter((note) => URGENT.test(note) === urgent).map((note) => h(urgent ? "p.alert" : "p.hint", note));
		const most = (flag) => (flag ? "at most " : "");
		fill(
			this.preview,
			notes(true),
			answer.image_count > 0 &&
				list([
					["Images", most(answer.image_count_at_most) + count(answer.image_count)],
					["Annotations", most(answer.annotation_count_at_most) + count(answer.annotation_count)],
					["Size, about", bytes(answer.estimated_size)],
				]),
			answer.image_count > 0 && h("h3", answer.losses.length ? "What the format would lose" : "Nothing would be lost."),
			answer.losses.length > 0 &&
				h("ul.plain.losses",
					answer.losses.map((loss) => h("li", chip(loss.kind, loss.count, loss.at_most ? "at most" : ""), h("span", loss.reason))),
				),
			notes(false),
		);
	}

	#allow(yes) {
		byId("new-export-create").disabled = !yes;
	}

	async #create() {
		const button = byId("new-export-create");
		if (button.disabled) return;
		button.disabled = true;
		try {
			const row = await this.api.createExport(this.#choice(), this.idempotencyKey);
			this.dialog.close();
			notify(`${row.name} is being made.`, "good");
			this.onCreated(row);
		} catch (error) {
			this.#fail(error);
			button.disabled = false;
		}
	}

	#fail(error) {
		const place = byId("new-export-error");
		place.textContent = error?.message ?? "";
		place.hidden = !error;
		const isName = error && (error.status === 409 || error.details?.errors?.some?.(({ field }) => field === "name"));
		this.fields.name.setAttribute("aria-invalid", String(Boolean(isName)));
		if (isName) this.fields.name.focus();
	}
}

function suggested(dataset, format) {
	const now = new Date().toISOString().slice(0, 16).replace("T", " ").replace(":", "");
	return dataset && `${dataset.slice(0, 60)} ${format} ${now}`;
}
