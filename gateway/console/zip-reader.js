// Reads files of a ZIP archive that lies elsewhere, by HTTP range requests: the end first, then
// the central directory, then only the files that are asked for. APPNOTE.TXT 6.3.10, 4.3 to 4.5.

/** The end record and the longest comment, and the locator of ZIP64 before them. */
const TAIL = 22 + 65_535 + 20;
/** Central directories and files that the page takes into memory. */
const LARGEST_DIRECTORY = 32_000_000;
const LARGEST_FILE = 48_000_000;
/** What a local header may have more than its directory entry. */
const SLACK = 256;

const END = 0x06054b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const ENTRY = 0x02014b50;
const LOCAL = 0x04034b50;

/** The archive, or the way to it, is not as it should be. */
export class ZipError extends Error {}

export class ZipReader {
	constructor(url, size, entries) {
		this.url = url;
		this.size = size;
		/** Entries by name, in the order of the directory. */
		this.entries = entries;
	}

	/** Reads the directory of an archive of `size` bytes. */
	static async open(url, size, signal) {
		const start = Math.max(0, size - TAIL);
		const tail = await range(url, start, size, signal);
		const { offset, length, total } = await directoryPlace(url, tail, start, signal);
		if (length > LARGEST_DIRECTORY) throw new ZipError(`The archive has ${total.toLocaleString("en")} files, too many to look at here.`);
		const bytes = offset >= start ? new DataView(tail.buffer, tail.byteOffset + offset - start, length) : await range(url, offset, offset + length, signal);
		return new ZipReader(url, size, readDirectory(bytes, total));
	}

	/** The bytes of a file, checked against their CRC-32. */
	async read(name, signal) {
		const entry = this.#entry(name);
		if (Math.max(entry.size, entry.packed) > LARGEST_FILE) throw new ZipError(`${name} is too large to show here.`);
		const guess = entry.offset + 30 + entry.nameLength + SLACK + entry.packed;
		let block = await range(this.url, entry.offset, Math.min(guess, this.size), signal);
		const data = entry.offset + dataStart(block);
		const end = data + entry.packed;
		if (end > entry.offset + block.byteLength) block = await range(this.url, entry.offset, end, signal);
		const packed = new Uint8Array(block.buffer, block.byteOffset + data - entry.offset, entry.packed);
		const bytes = new Uint8Array(await new Response(unpacked(new Blob([packed]).stream(), entry)).arrayBuffer());
		if (bytes.length !== entry.size || crc32(bytes) !== entry.crc) throw new ZipError(`${name} is damaged in the archive.`);
		return bytes;
	}

	/** The text of a file, as it comes; cancel it when enough is read. */
	async stream(name, signal) {
		const entry = this.#entry(name);
		const header = await range(this.url, entry.offset, entry.offset + 30, signal);
		const data = entry.offset + dataStart(header);
		if (!entry.packed) return new Blob([]).stream().pipeThrough(new TextDecoderStream());
		const answer = await fetchRange(this.url, data, data + entry.packed, signal);
		return unpacked(answer.body, entry).pipeThrough(new TextDecoderStream());
	}

	#entry(name) {
		const entry = this.entries.get(name);
		if (!entry) throw new ZipError(`The archive has no ${name}.`);
		return entry;
	}
}

async function directoryPlace(url, tail, start, signal) {
	for (let at = tail.byteLength - 22; at >= 0; at -= 1) {
		if (tail.getUint32(at, true) !== END || at + 22 + tail.getUint16(at + 20, true) !== tail.byteLength) continue;
		const place = { total: tail.getUint16(at + 10, true), length: tail.getUint32(at + 12, true), offset: tail.getUint32(at + 16, true) };
		const locator = at - 20;
		if (locator < 0 || tail.getUint32(locator, true) !== LOCATOR_64) return place;
		const end64 = large(tail, locator + 8);
		const record = end64 >= start ? new DataView(tail.buffer, tail.byteOffset + end64 - start, 56) : await range(url, end64, end64 + 56, signal);
		if (record.getUint32(0, true) !== END_64) break;
		return { total: large(record, 32), length: large(record, 40), offset: large(record, 48) };
	}
	throw new ZipError("The archive has no end record: it is damaged.");
}

function readDirectory(bytes, total) {
	const entries = new Map();
	const names = new TextDecoder();
	for (let at = 0, index = 0; index < total; index += 1) {
		if (at + 46 > bytes.byteLength || bytes.getUint32(at, true) !== ENTRY) throw new ZipError("The directory of the archive is damaged.");
		const nameLength = bytes.getUint16(at + 28, true);
		const extraLength = bytes.getUint16(at + 30, true);
		const entry = {
			method: bytes.getUint16(at + 10, true),
			crc: bytes.getUint32(at + 16, true),
			packed: bytes.getUint32(at + 20, true),
			size: bytes.getUint32(at + 24, true),
			offset: bytes.getUint32(at + 42, true),
			nameLength,
		};
		readLargeNumbers(entry, bytes, at + 46 + nameLength, extraLength);
		entries.set(names.decode(new Uint8Array(bytes.buffer, bytes.byteOffset + at + 46, nameLength)), entry);
		at += 46 + nameLength + extraLength + bytes.getUint16(at + 32, true);
	}
	return entries;
}

/** The ZIP64 field has, in this order, only what does not fit into the entry itself. */
function readLargeNumbers(entry, bytes, start, length) {
	for (let at = start; at + 4 <= start + length; at += 4 + bytes.getUint16(at + 2, true)) {
		if (bytes.getUint16(at, true) !== 1) continue;
		let place = at + 4;
		for (const key of ["size", "packed", "offset"]) {
			if (entry[key] !== 0xffffffff) continue;
			entry[key] = large(bytes, place);
			place += 8;
		}
		return;
	}
}

function large(view, at) {
	return Number(view.getBigUint64(at, true));
}

function dataStart(header) {
	if (header.getUint32(0, true) !== LOCAL) throw new ZipError("A file of the archive is not where its directory says.");
	return 30 + header.getUint16(26, true) + header.getUint16(28, true);
}

function unpacked(stream, entry) {
	if (entry.method === 0) return stream;
	if (entry.method !== 8) throw new ZipError(`The archive is packed by method ${entry.method}, which the page cannot unpack.`);
	return stream.pipeThrough(new DecompressionStream("deflate-raw"));
}

async function range(url, start, end, signal) {
	const answer = await fetchRange(url, start, end, signal);
	const buffer = await answer.arrayBuffer();
	if (buffer.byteLength !== end - start) throw new ZipError("The store sent another part of the archive than was asked for.");
	return new DataView(buffer);
}

/** `bytes=a-b` needs no preflight (https://fetch.spec.whatwg.org/#cors-safelisted-request-header). */
async function fetchRange(url, start, end, signal) {
	let answer;
	try {
		answer = await fetch(url, {
			headers: { Range: `bytes=${start}-${end - 1}` },
			signal,
			cache: "no-store",
			credentials: "omit",
			referrerPolicy: "no-referrer",
		});
	} catch (error) {
		if (error.name === "AbortError") throw error;
		throw new ZipError("The store does not let this page read the archive (CORS), or cannot be reached.");
	}
	// A store that knows no ranges would send all of it; some send the part, and call it 200.
	if (!answer.ok || answer.headers.get("Content-Length") !== String(end - start)) {
		answer.body?.cancel();
		throw new ZipError(answer.ok ? "The store sends no parts of files." : `The store refused the link (${answer.status}).`);
	}
	return answer;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
	let value = index;
	for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
	return value;
});

export function crc32(bytes) {
	let value = 0xffffffff;
	for (let at = 0; at < bytes.length; at += 1) value = CRC_TABLE[(value ^ bytes[at]) & 255] ^ (value >>> 8);
	return (value ^ 0xffffffff) >>> 0;
}
