// A look into a finished archive: its first images, with their annotations drawn.

import { Palette, draw } from "./annotations-canvas.js";
import { canDraw, scenesOf } from "./archive-scenes.js";
import { button, fill, h } from "./dom.js";
import { count, counted } from "./format.js";
import { ZipReader } from "./zip-reader.js";

const FIRST = 8;
const MOST = 48;
// Pixels across, in the grid and alone.
const SMALL = 560;
const LARGE = 1600;

/** Opens the dialog; `download` is what one can do where the page cannot look. */
export function look(api, row, download) {
	const stop = new AbortController();
	const view = new View(row, download);
	view.dialog.addEventListener("close", () => {
		stop.abort();
		view.close();
	});
	document.body.append(view.dialog);
	view.dialog.showModal();
	if (!canDraw(row.format)) {
		view.say(`The page draws archives of the formats pictograph and coco. This one is ${row.format}: download it to look inside.`);
		return;
	}
	view.load(api, stop.signal);
}

class View {
	constructor(row, download) {
		this.row = row;
		this.palette = new Palette();
		this.tiles = [];
		this.wanted = FIRST;
		this.body = h("div.look-body");
		this.legend = h("ul.legend", { label: "Classes" });
		this.status = h("p.muted", { role: "status" });
		this.large = h("div.look-large", { hidden: true });
		this.toggle = h("input", { type: "checkbox", checked: true, on: { change: () => this.#drawAll() } });
		this.more = button("Show more images", () => this.#showMore(), { hidden: true });
		this.dialog = h("dialog.look", { aria: { labelledby: "look-title" } },
			h(
				"header",
				h("h2", { id: "look-title" }, `Inside ${row.name}`),
				h("label.inline", this.toggle, "Annotations"),
				button("Download", download),
				button("Close", () => this.dialog.close(), { autofocus: true }),
			),
			h("div.look-scroll", { tabIndex: 0, role: "region", label: "Images" }, this.status, this.legend, this.large, this.body, this.more),
		);
	}

	say(text) {
		this.status.textContent = text;
	}

	close() {
		for (const tile of this.tiles) tile.picture?.close();
		this.dialog.remove();
	}

	async load(api, signal) {
		this.signal = signal;
		this.say("Reading the archive…");
		await this.#try(async () => {
			const link = await api.downloadLink(this.row.id);
			this.archive = await ZipReader.open(link.download_url, link.file_size, signal);
			await this.#show();
		});
	}

	async #showMore() {
		this.wanted = Math.min(this.wanted * 2, MOST);
		this.more.disabled = true;
		await this.#try(() => this.#show());
		this.more.disabled = false;
	}

	async #try(act) {
		try {
			await act();
		} catch (error) {
			if (error.name === "AbortError") return;
			this.status.className = "alert";
			this.say(`${error.message} Download the archive to look inside.`);
		}
	}

	async #show() {
		const scenes = await scenesOf(this.archive, this.row.format, this.wanted, this.signal);
		this.more.hidden = scenes.length < this.wanted || this.wanted >= MOST;
		if (!scenes.length) {
			this.say("The archive has no image.");
			return;
		}
		const added = scenes.slice(this.tiles.length).map((scene) => this.#tile(scene));
		this.tiles.push(...added);
		fill(this.body, this.tiles.map((tile) => tile.element));
		this.say(`The first ${counted(this.tiles.length, "image")} of ${count(this.row.image_count)}.`);
		this.#writeLegend();
		await Promise.all(added.map((tile) => this.#loadPicture(tile)));
	}

	#tile(scene) {
		const canvas = h("canvas", { role: "img", label: describe(scene) });
		const note = h("span.muted");
		const tile = { scene, canvas, note, picture: null };
		tile.element = h(
			"figure",
			button(canvas, () => this.#enlarge(tile), { class: "tile", label: `Enlarge ${scene.name}: ${describe(scene)}` }),
			h("figcaption", h("span.path", scene.name), note),
		);
		for (const shape of scene.shapes) this.palette.hue(shape.name);
		this.#draw(tile);
		note.textContent = counted(scene.shapes.length, "annotation");
		return tile;
	}

	async #loadPicture(tile) {
		const { file } = tile.scene;
		if (!file) {
			tile.note.textContent += " · no image file in the archive";
			return;
		}
		try {
			const bytes = await this.archive.read(file, this.signal);
			// Coordinates are those of the picture as it is displayed: turned as its EXIF says.
			tile.picture = await createImageBitmap(new Blob([bytes]), { imageOrientation: "from-image" });
			this.#draw(tile);
		} catch (error) {
			if (error.name === "AbortError") return;
			tile.note.textContent += error.name === "InvalidStateError" ? " · a kind of image that the browser cannot show" : ` · ${error.message}`;
		}
	}

	#draw({ scene, picture, canvas: small }, canvas = small, width = SMALL) {
		draw(canvas, scene, picture, { palette: this.palette, width, shapes: this.toggle.checked });
	}

	#drawAll() {
		for (const tile of this.tiles) this.#draw(tile);
		if (this.enlarged) this.#enlarge(this.enlarged);
	}

	#enlarge(tile) {
		this.enlarged = tile;
		const canvas = h("canvas", { role: "img", label: `${tile.scene.name}: ${describe(tile.scene)}` });
		const width = Math.min(LARGE, Math.max(SMALL, (tile.picture?.width ?? tile.scene.width) * 2));
		this.#draw(tile, canvas, width);
		const back = button("Back to all images", () => {
			this.enlarged = null;
			this.large.hidden = true;
			this.body.hidden = false;
			tile.element.querySelector("button").focus();
		});
		fill(this.large, h("div.look-bar", back, h("span.path", tile.scene.name), h("span.muted", describe(tile.scene))), canvas);
		this.large.hidden = false;
		this.body.hidden = true;
		back.focus();
	}

	#writeLegend() {
		fill(
			this.legend,
			[...this.palette.hues.keys()].map((name) => {
				const swatch = h("span.swatch");
				swatch.style.setProperty("background", this.palette.line(name));
				return h("li", swatch, name);
			}),
		);
	}
}

function describe(scene) {
	const counts = new Map();
	for (const { name } of scene.shapes) counts.set(name, (counts.get(name) ?? 0) + 1);
	return [...counts].map(([name, number]) => `${count(number)} ${name}`).join(", ") || "no annotations";
}
