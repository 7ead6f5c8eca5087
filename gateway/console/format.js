// Numbers, sizes and times as people read them.

const numbers = new Intl.NumberFormat("en");
const dates = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23" });
const times = new Intl.RelativeTimeFormat("en");
const UNITS = ["bytes", "kB", "MB", "GB", "TB"];
const SPANS = [
	["day", 86_400],
	["hour", 3_600],
	["minute", 60],
];

/** `12,345`; a dash where it is not known. */
export function count(value) {
	return value == null ? "–" : numbers.format(value);
}

export function counted(value, word) {
	return `${count(value)} ${word}${value === 1 ? "" : "s"}`;
}

/** `12.3 MB`, in powers of 1,000; a dash where it is not known. */
export function bytes(value) {
	if (value == null) return "–";
	let unit = 0;
	let amount = value;
	while (amount >= 999.5 && unit < UNITS.length - 1) {
		amount /= 1000;
		unit += 1;
	}
	const digits = unit === 0 || amount >= 99.95 ? 0 : 1;
	return `${amount.toFixed(digits)} ${unit === 0 && value === 1 ? "byte" : UNITS[unit]}`;
}

/** `3 min 20 s`, `2 h 5 min`, `40 s`. */
export function duration(seconds) {
	const whole = Math.max(0, Math.round(seconds));
	if (whole < 60) return `${whole} s`;
	if (whole >= 172_800) return `${Math.floor(whole / 86_400)} days`;
	const [length, unit, smaller] = whole < 3600 ? [60, "min", "s"] : [3600, "h", "min"];
	const rest = Math.floor(((whole % length) / length) * 60);
	return `${Math.floor(whole / length)} ${unit}${rest ? ` ${rest} ${smaller}` : ""}`;
}

/** `3 minutes ago`, `in 30 days`. */
export function relative(time, now = Date.now()) {
	const seconds = (Date.parse(time) - now) / 1000;
	const [unit, length] = SPANS.find(([, least]) => Math.abs(seconds) >= least) ?? [];
	if (!unit) return seconds > 0 ? "in less than a minute" : "just now";
	return times.format(seconds > 0 ? Math.round(seconds / length) : Math.ceil(seconds / length), unit);
}

/** `Nov 30, 2026, 13:02:03` in the reader's time zone. */
export function moment(time) {
	return dates.format(new Date(time));
}
