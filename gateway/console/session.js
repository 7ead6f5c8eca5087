// The API key, kept in this tab alone: sessionStorage ends with it, and is never sent by itself.

const NAME = "cartouche.key";

export function storedKey() {
	return sessionStorage.getItem(NAME);
}

export function storeKey(key) {
	sessionStorage.setItem(NAME, key);
}

export function forgetKey() {
	sessionStorage.removeItem(NAME);
}
