// What the table shows: part of a name, a dataset, a status, a format. Kept in the address, so
// that a reload and a copied link show the same.

import { byId, fill, h } from "./dom.js";

const WAIT_MS = 250;
/** Parameters of List exports by the name of their field. */
const PARAMETERS = { search: "search", dataset: "dataset_name", status: "status", format: "format" };

/** The row of filters; `onChange` hears the parameters as URLSearchParams. */
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
		this.#options("dataset", "Any dataset", datasets);
		this.#options("format", "Any format", formats);
	}

	parameters() {
		const parameters = new URLSearchParams();
		for (const [field, parameter] of Object.entries(PARAMETERS)) {
			const value = this.form.elements[field].value.trim();
			if (value) parameters.set(parameter, value);
		}
		return parameters;
	}

	clear() {
		for (const field of Object.keys(PARAMETERS)) this.form.elements[field].value = "";
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
		for (const [field, parameter] of Object.entries(PARAMETERS)) {
			const value = parameters.get(parameter) ?? "";
			const element = this.form.elements[field];
			element.value = value;
			// Which datasets there are is not known yet.
			if (element.options && element.value !== value) element.append(h("option", { value, selected: true }, value));
		}
		byId("clear-filters").hidden = !this.parameters().size;
	}

	#options(field, any, names) {
		const select = this.form.elements[field];
		const { value } = select;
		const offered = value && !names.includes(value) ? [value, ...names] : names;
		fill(select, h("option", { value: "" }, any), offered.map((name) => h("option", { value: name }, name)));
		select.value = value;
	}
}
