// The public REST API, and nothing else: every call of the console goes through here.

const ROOT = "/api/v1/developer";
export const EXPORTS = `${ROOT}/exports/`;

/** What the API refused, or that it could not be reached (`status` 0). */
export class ApiError extends Error {
	/** `code` is the API's word for it, `message` a sentence for people. */
	constructor(status, code, message, details = {}) {
		super(message);
		this.status = status;
		this.code = code;
		this.details = details;
	}
}

/** Random enough to tell one create from another; `randomUUID` exists on https alone. */
export function randomKey() {
	return crypto.getRandomValues(new Uint8Array(16)).join("-");
}

export function exportPath(id) {
	return `${EXPORTS}${encodeURIComponent(id)}`;
}

export class Api {
	constructor(key, onRole = () => {}) {
		this.key = key;
		this.role = null;
		this.onRole = onRole;
	}

	/** The answer to a request, whose body is still to be read; else throws ApiError. */
	async request(path, { method = "GET", body, headers = {}, signal } = {}) {
		let answer;
		try {
			answer = await fetch(path, {
				method,
				headers: {
					"X-API-Key": this.key,
					Accept: "application/json",
					...(body === undefined ? {} : { "Content-Type": "application/json" }),
					...headers,
				},
				body: body === undefined ? undefined : JSON.stringify(body),
				signal,
				cache: "no-store",
				credentials: "omit",
			});
		} catch (error) {
			if (error.name === "AbortError") throw error;
			throw new ApiError(0, "unreachable", "Cartouche cannot be reached.");
		}
		const role = answer.headers.get("X-API-Key-Role");
		if (role && role !== this.role) {
			this.role = role;
			this.onRole(role);
		}
		if (!answer.ok) throw await refusal(answer);
		return answer;
	}

	async json(path, options) {
		return (await this.request(path, options)).json();
	}

	/** Whether the key's role is this one or a higher one; a role that is not known may try. */
	may(role) {
		const order = ["viewer", "member", "admin", "owner"];
		return !this.role || order.indexOf(this.role) >= order.indexOf(role);
	}

	/** Every dataset, page after page. */
	async listDatasets() {
		const found = [];
		for (;;) {
			const { datasets, total } = await this.json(`${ROOT}/datasets/?limit=1000&offset=${found.length}`);
			found.push(...datasets);
			if (!datasets.length || found.length >= total) return found;
		}
	}

	async listFormats() {
		return (await this.json(`${ROOT}/formats/`)).formats;
	}

	preview(choice, signal) {
		return this.json(`${EXPORTS}preview`, { method: "POST", body: choice, signal });
	}

	/** The idempotency key is the same for each try of one create. */
	createExport(choice, idempotencyKey) {
		return this.json(EXPORTS, { method: "POST", body: choice, headers: { "Idempotency-Key": idempotencyKey } });
	}

	retryExport(id) {
		return this.json(`${exportPath(id)}/retry`, { method: "POST", body: {} });
	}

	cancelExport(id) {
		return this.json(`${exportPath(id)}/cancel`, { method: "POST" });
	}

	deleteExports(ids) {
		return this.json(`${EXPORTS}bulk-delete`, { method: "POST", body: { export_ids: ids } });
	}

	/** `download_url`, `file_size` and sums. The link opens the archive without a key. */
	downloadLink(id) {
		return this.json(`${exportPath(id)}/download`);
	}
}

async function refusal(answer) {
	let body = {};
	try {
		body = await answer.json();
	} catch {
		// Something between here and Cartouche answered.
	}
	const message = body.message ?? `The server answered ${answer.status}.`;
	return new ApiError(answer.status, typeof body.error === "string" ? body.error : "unknown", message, body.details);
}
