// The classes of a dataset to choose from, with how many annotations of each would be exported.

import { fill, h, setText } from "./dom.js";
import { count } from "./format.js";

// A search finds the others.
const SHOWN = 200;

/** All classes, until some are unticked. */
export class ClassList {
	constructor(place, onChange) {
		this.onChange = onChange;
		this.all = h("input", { type: "checkbox", checked: true, on: { change: () => this.#setAll(this.all.checked) } });
		this.summary = h("span.muted");
		this.search = h("input", { type: "search", placeholder: "Find a class", label: "Find a class", on: { input: () => this.#write() } });
		this.list = h("ul.classes");
		fill(place, h("div.classes-head", h("label.inline", this.all, "All classes"), this.summary, this.search), this.list);
	}

	/** `chosen`: the names that are ticked; null: all. */
	offer(classes, chosen = null) {
		this.classes = classes;
		this.ticked = new Set(chosen ?? classes.map(({ name }) => name));
		this.everything = chosen === null;
		this.counts = new Map();
		this.search.value = "";
		this.search.hidden = classes.length < 12;
		this.#write();
	}

	count(counts) {
		this.counts = new Map(counts.map((item) => [item.name, item.annotation_count]));
		for (const [name, { number }] of this.items) setText(number, this.#count(name));
	}

	/** The chosen names in the dataset's order; null: every class. */
	chosen() {
		if (this.everything) return null;
		return this.classes.map(({ name }) => name).filter((name) => this.ticked.has(name));
	}

	#count(name) {
		if (!this.counts.size) return "";
		return count(this.counts.get(name) ?? 0);
	}

	#setAll(on) {
		this.everything = on;
		this.ticked = new Set(on ? this.classes.map(({ name }) => name) : []);
		for (const [, { box }] of this.items) box.checked = on;
		this.#changed();
	}

	#changed() {
		this.#writeSummary();
		this.onChange();
	}

	#writeSummary() {
		this.all.checked = this.everything;
		this.all.indeterminate = !this.everything && this.ticked.size > 0;
		setText(this.summary, this.everything ? `all ${count(this.classes.length)}` : `${count(this.ticked.size)} of ${count(this.classes.length)}`);
	}

	#write() {
		const words = this.search.value.trim().toLowerCase();
		const found = this.classes.filter(({ name }) => name.toLowerCase().includes(words));
		this.items = new Map(found.slice(0, SHOWN).map((item) => [item.name, this.#item(item)]));
		fill(
			this.list,
			[...this.items.values()].map(({ element }) => element),
			found.length > SHOWN && h("li.muted", `and ${count(found.length - SHOWN)} more: search for them`),
		);
		this.#writeSummary();
	}

	#item({ name, type }) {
		const box = h("input", { type: "checkbox", checked: this.ticked.has(name) });
		box.addEventListener("change", () => {
			if (box.checked) this.ticked.add(name);
			else this.ticked.delete(name);
			this.everything = this.ticked.size === this.classes.length;
			this.#changed();
		});
		const number = h("span.number", this.#count(name));
		const element = h("li", h("label", box, h("span.name", name), h("span.muted", type), number));
		return { element, box, number };
	}
}
