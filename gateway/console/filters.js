// What the table shows: part of a name, a dataset, a status, a format. Kept in the address, so
// that a reload and a copied link show the same.

import { byId, fill, h } from "./dom.js";

const WAIT_MS = 250;

/** The row of filters, called like the parameters of List exports; `onChange` hears them. */
export class Filters {
	constructor(onChange) {
		this.form = byId("filters");
		this.onChange = onChange;
		this.events = new AbortController();
		const on = (target, event, listener) => target.addEventListener(event, listener, { signal: this.events.signal });
		let timer = 0;
		on(this.form, "submit", (event) => event.preventDefault());
		on(this.form, "input", () => {
			clearTimeout(timer);
			timer = setTimeout(() => this.#changed(), WAIT_MS);
		});
		on(byId("clear-filters"), "click", () => this.clear());
		this.#read();
	}

	close() {
		this.events.abort();
	}

	/** Takes the datasets and formats that there are to choose from. */
	offer(datasets, formats) {
		this.#options("dataset_name", datasets);
		this.#options("format", formats);
	}

	parameters() {
		const parameters = new URLSearchParams();
		for (const { name, value } of this.form.elements) {
			if (value.trim()) parameters.set(name, value.trim());
		}
		return parameters;
	}

	clear() {
		this.form.reset();
		this.#changed();
		this.form.elements.search.focus();
	}

	#changed() {
		const parameters = this.parameters();
		byId("clear-filters").hidden = !parameters.size;
		history.replaceState(null, "", parameters.size ? `#${parameters}` : location.pathname);
		this.onChange(parameters);
	}

	#read() {
		const parameters = new URLSearchParams(location.hash.slice(1));
		for (const element of this.form.elements) {
			const value = parameters.get(element.name) ?? "";
			element.value = value;
			// Which datasets there are is not known yet.
			if (element.options && element.value !== value) element.append(h("option", { value, selected: true }, value));
		}
		byId("clear-filters").hidden = !this.parameters().size;
	}

	#options(field, names) {
		const select = this.form.elements[field];
		const { value } = select;
		const offered = value && !names.includes(value) ? [value, ...names] : names;
		// The first one takes any.
		fill(select, select.options[0], offered.map((name) => h("option", { value: name }, name)));
		select.value = value;
	}
}
