// Draws a scene: the image, and the shapes of its annotations in the colours of their classes.

import { maskImage } from "./rle.js";

/** Degrees between the hues of classes that follow each other: the golden angle. */
const TURN = 137.508;

/** The hue of a class, by its place among all that are seen. */
export class Palette {
	hues = new Map();

	hue(name) {
		if (!this.hues.has(name)) this.hues.set(name, (205 + this.hues.size * TURN) % 360);
		return this.hues.get(name);
	}

	line(name) {
		return `hsl(${this.hue(name)} 95% 62%)`;
	}

	area(name) {
		return `hsl(${this.hue(name)} 95% 60% / 0.22)`;
	}
}

/** Draws a scene of archive-scenes.js, `width` pixels wide; without a picture on plain ground. */
export function draw(canvas, scene, picture, { palette, width, shapes }) {
	const scale = width / scene.width;
	canvas.width = width;
	canvas.height = Math.max(1, Math.round(scene.height * scale));
	const brush = canvas.getContext("2d");
	if (picture) brush.drawImage(picture, 0, 0, canvas.width, canvas.height);
	else {
		brush.fillStyle = "#2b313b";
		brush.fillRect(0, 0, canvas.width, canvas.height);
	}
	if (!shapes) return;
	const thick = Math.max(1.5, width / 300);
	brush.lineJoin = brush.lineCap = "round";
	for (const shape of scene.shapes) {
		brush.strokeStyle = palette.line(shape.name);
		brush.fillStyle = palette.area(shape.name);
		brush.lineWidth = thick;
		if (shape.mask) drawMask(brush, shape.mask, canvas);
		else if (shape.points) drawPoints(brush, shape, scale, thick);
		else drawOutline(brush, shape, scale);
	}
}

function drawOutline(brush, { rings, line, isUnion }, scale) {
	brush.beginPath();
	for (const ring of rings ?? [line]) {
		ring.forEach(([x, y], index) => (index ? brush.lineTo(x * scale, y * scale) : brush.moveTo(x * scale, y * scale)));
		if (rings) brush.closePath();
	}
	if (rings) brush.fill(isUnion ? "nonzero" : "evenodd");
	brush.stroke();
}

function drawPoints(brush, { points, bones }, scale, thick) {
	brush.beginPath();
	for (const [a, b] of bones) {
		brush.moveTo(points[a][0] * scale, points[a][1] * scale);
		brush.lineTo(points[b][0] * scale, points[b][1] * scale);
	}
	brush.stroke();
	brush.fillStyle = brush.strokeStyle;
	for (const point of points) {
		if (!point) continue;
		brush.beginPath();
		brush.arc(point[0] * scale, point[1] * scale, thick * 1.5, 0, 2 * Math.PI);
		brush.fill();
	}
}

function drawMask(brush, mask, canvas) {
	const [height, width] = mask.size;
	const layer = new OffscreenCanvas(width, height);
	const painter = layer.getContext("2d");
	painter.putImageData(maskImage(mask), 0, 0);
	painter.globalCompositeOperation = "source-in";
	painter.fillStyle = brush.strokeStyle;
	painter.fillRect(0, 0, width, height);
	brush.globalAlpha = 0.5;
	brush.drawImage(layer, 0, 0, canvas.width, canvas.height);
	brush.globalAlpha = 1;
}
