// The search, and the buttons that copy programs. The index is loaded when the
// field gets the focus, by a script element: so it works from a folder too.
"use strict";

const field = document.getElementById("query");
const list = document.getElementById("results");
const COMMON = new Set(("a an and any are as at be by can do does for from how i in is it " +
    "many me my no not of on one or out that the there to use using what when where which " +
    "who why with without").split(" "));
// What a reader wants first, where matches are as good.
const WEIGHT = {guide: 6, function: 5, type: 4, option: 3, manual: 3, error: 3,
    constant: 2, header: 2, entry: 2, example: 1, field: 0, document: 0};
const SHOWN = 20;
let loading = null;

const plain = (text) => text.toLowerCase().replace(/(\w)-(?=\w)/g, "$1");
const wordsOf = (text) => text.split(/[^a-z0-9+]+/).filter(Boolean);
const stemOf = (word) => word.length > 5 && word.endsWith("ing") ?
    word.slice(0, -3).replace(/(.)\1$/, "$1") :
    word.length > 3 ? word.replace(/([^s])s$/, "$1") : word;

function load() {
    loading ||= new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = "search_index.js";
        script.onerror = reject;
        script.onload = () => resolve(weirIndex.map(
            ([kind, title, page, url, text, also]) => ({kind, title, page, url, text,
                name: plain(title), parts: wordsOf(plain(title).replace(/_/g, " ")),
                low: plain(text), also: plain(also).split(", "),
                isSymbol: !["guide", "manual", "document", "entry"].includes(kind)})));
        document.head.append(script);
    });
    return loading;
}

// How well a row has a word: its name, a part of it, a heading, the text.
function scoreWord(row, word, stem) {
    if (row.isSymbol && (row.name == word || row.name == "weir_" + word)) {
        return row.kind == "field" ? 45 : 100;
    }
    if (row.parts.includes(word) || row.parts.includes(stem)) return row.isSymbol ? 50 : 55;
    if (row.also.includes(word)) return 52;
    if (row.also.some((one) => wordsOf(one).some((part) => part.startsWith(stem)))) return 45;
    if (row.parts.some((part) => part.startsWith(stem))) return 35;
    if (stem.length > 2 && row.name.includes(stem)) return 25;
    const found = row.low.split(stem);
    if (found.length == 1) return plain(row.page).includes(stem) ? 8 : 0;
    const score = (/\w$/.test(found[0]) ? 4 : 10) + Math.min(found.length, 6);
    return row.low.length > 5000 ? score / 2 : score;
}

// The rows that have a word, the best first: a word counts the more, the fewer rows
// have it, and a row the more, the more of the words it has.
async function weirSearch(query) {
    const rows = await load();
    const phrase = plain(query.trim().replace(/[?"()]/g, ""));
    let words = phrase.split(/[\s,./:;=]+/).filter(Boolean);
    const rare = words.filter((word) => !COMMON.has(word));
    words = (rare.length ? rare : words).map((word) => word.replace(/^-+/, ""));
    const scores = words.map((word) => rows.map((row) => scoreWord(row, word, stemOf(word))));
    const worth = scores.map((all) => Math.log(1 + rows.length /
        (1 + all.filter((score) => score).length)));
    const whole = worth.reduce((sum, one) => sum + one, 0);
    const found = [];
    rows.forEach((row, at) => {
        let score = 0;
        let had = 0;
        scores.forEach((all, word) => {
            score += all[at] * worth[word] / whole;
            had += all[at] ? worth[word] / whole : 0;
        });
        if (!score) return;
        if (words.length > 1 && row.name.includes(phrase)) score += 40;
        if (words.length > 1 && row.low.includes(phrase)) score += 15;
        found.push({row, score: (score + WEIGHT[row.kind]) * had * had});
    });
    found.sort((a, b) => b.score - a.score || a.row.name.length - b.row.name.length);
    return found.map((one) => ({...one.row, words: words.map(stemOf)}));
}

// A line of the text around the first word that it has.
function contextOf(row) {
    const low = row.text.toLowerCase();
    const places = row.words.map((word) => low.indexOf(word)).filter((at) => at >= 0);
    const from = Math.max(0, Math.min(...places, low.length) - 40);
    const begin = places.length && from > 0 ? low.indexOf(" ", from) + 1 : 0;
    return (begin > 0 ? "… " : "") + row.text.slice(begin, begin + 140);
}

function draw(rows) {
    const items = rows.slice(0, SHOWN).map((row, index) => {
        const item = document.createElement("a");
        item.href = row.url;
        item.id = `result-${index}`;
        item.role = "option";
        item.tabIndex = -1;
        for (const [name, text] of [["kind", row.kind], ["title", row.title],
            ["page", row.page], ["context", contextOf(row)]]) {
            const part = document.createElement("span");
            part.className = name;
            part.textContent = text;
            item.append(part);
        }
        return item;
    });
    list.replaceChildren(...items);
    if (!items.length) list.textContent = "Nothing is found.";
    show(true);
    select(items.length ? 0 : -1);
}

function show(isOpen) {
    list.hidden = !isOpen;
    field.setAttribute("aria-expanded", isOpen);
}

function select(index) {
    [...list.children].forEach((item, at) => item.setAttribute("aria-selected", at == index));
    const item = list.children[index];
    field.setAttribute("aria-activedescendant", item ? item.id : "");
    if (item) item.scrollIntoView({block: "nearest"});
}

async function search() {
    const query = field.value;
    const rows = query.trim() ? await weirSearch(query) : null;
    if (query != field.value) return;
    if (rows) draw(rows);
    else show(false);
}

function press(event) {
    const at = [...list.children].findIndex((one) => one.ariaSelected == "true");
    if (event.key == "ArrowDown" || event.key == "ArrowUp") {
        const count = list.children.length;
        select((at + (event.key == "ArrowDown" ? 1 : count - 1)) % count);
        event.preventDefault();
    } else if (event.key == "Enter" && !list.hidden && at >= 0) {
        show(false);
        location.href = list.children[at].href;
    } else if (event.key == "Escape") {
        show(false);
    }
}

// In a wide window the menu is a column; in others an open menu covers the page.
const menu = document.getElementById("guide");
const isWide = matchMedia("(min-width: 1000px)");
isWide.addEventListener("change", () => { menu.open = isWide.matches; });

function closeMenu() {
    menu.open = isWide.matches;
}

field.addEventListener("focus", load);
field.addEventListener("input", search);
field.addEventListener("keydown", press);
document.addEventListener("keydown", (event) => {
    if (event.key == "/" && !/INPUT|TEXTAREA/.test(event.target.tagName)) {
        field.focus();
        event.preventDefault();
    } else if (event.key == "Escape") {
        closeMenu();
    }
});
document.addEventListener("click", (event) => {
    if (!event.target.closest("search")) show(false);
    if (!event.target.closest("#guide")) closeMenu();
});
list.addEventListener("click", () => show(false));

for (const program of document.querySelectorAll("div.fragment")) {
    const button = document.createElement("button");
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
        const lines = [...program.querySelectorAll(".line")];
        await navigator.clipboard.writeText(
            lines.map((line) => line.textContent.trimEnd() + "\n").join(""));
        button.textContent = "Copied";
    });
    const frame = document.createElement("div");
    frame.className = "program";
    program.replaceWith(frame);
    frame.append(program, button);
}

const current = document.querySelector("#guide [aria-current]");
if (current) {
    menu.scrollTop = current.offsetTop - menu.offsetTop - 120;
}
