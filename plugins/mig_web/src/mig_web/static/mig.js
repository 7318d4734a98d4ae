// What the pages do by themselves: theme, keys, forms, and following an action. No framework; htmx fetches parts.
"use strict";
(() => {
  const root = document.documentElement;
  const kept = () => { try { return localStorage.getItem("mig-theme"); } catch { return null; } };
  if (kept()) root.dataset.theme = kept();

  const secret = () => document.querySelector('meta[name="form-secret"]')?.content ?? "";
  const does = {
    theme() {
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      try { localStorage.setItem("mig-theme", root.dataset.theme); } catch { /* it lasts as long as the page */ }
    },
    help() { document.getElementById("help")?.showModal(); },
    async copy(button) {
      const text = document.getElementById(button.dataset.of).textContent;
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(document.getElementById(button.dataset.of));
        button.textContent = "Selected: copy it";
      }
    },
    more(button) {
      const last = button.previousElementSibling;
      const fresh = last.cloneNode(true);
      fresh.value = "";
      fresh.removeAttribute("id");
      fresh.setAttribute("aria-label", button.dataset.label);
      last.after(fresh);
      fresh.focus();
    },
    load(button) { document.getElementById(button.dataset.of).click(); },
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-does]");
    if (button) does[button.dataset.does]?.(button);
  });

  // A file of this machine becomes the text of a field.
  document.addEventListener("change", async (event) => {
    const field = event.target;
    if (field.matches?.("input[type=file][data-fills]") && field.files[0]) {
      document.getElementById(field.dataset.fills).value = await field.files[0].text();
    }
  });

  // Only our own pages have the form's secret; htmx sends it along with what changes something.
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.verb !== "get") event.detail.parameters.form_secret = secret();
    // Rows that are fetched anew because answers came stay at the page of the list that somebody reads.
    const cursor = new URLSearchParams(location.search).get("cursor");
    if (cursor && event.detail.elt.id === "rows-form" && event.detail.triggeringEvent?.type === "mig:refresh") {
      event.detail.parameters.cursor = cursor;
    }
  });

  // -- keys
  const typing = (element) => element.matches?.("input, select, textarea, [contenteditable]");
  const rows = (table) => [...table.tBodies[0].rows];
  const prepare = () => {
    for (const table of document.querySelectorAll("table[data-arrows]")) {
      const all = rows(table);
      if (!all.some((row) => row.tabIndex === 0)) all.forEach((row, at) => { row.tabIndex = at ? -1 : 0; });
    }
  };
  const move = (row, event) => {
    const all = rows(row.closest("table"));
    const at = all.indexOf(row);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined || !all[to]) return;
    event.preventDefault();
    row.tabIndex = -1;
    all[to].tabIndex = 0;
    all[to].focus();
  };
  let after = "";
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target;
    if (typing(at)) {
      if (event.key === "Escape") at.blur();
      return;
    }
    if (document.querySelector("dialog[open]")) return;
    const row = at.closest?.("table[data-arrows] tbody tr");
    if (row && row === at) {
      if (event.key === "Enter") row.querySelector("a, button")?.click();
      move(row, event);
    } else if (event.key === "ArrowDown" && at === document.body) {
      const first = document.querySelector("table[data-arrows] tbody tr[tabindex='0']");
      if (first) { event.preventDefault(); first.focus(); }
    }
    if (after === "g" && /^[1-9]$/.test(event.key)) document.querySelectorAll(".top nav a")[event.key - 1]?.click();
    after = event.key;
    if (event.key === "?") does.help();
    const wanted = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!wanted) return;
    event.preventDefault();
    if (wanted.matches("a, button")) wanted.click(); else { wanted.focus(); wanted.select?.(); }
  });

  // -- parts that are fetched anew as answers come: never under the fingers of somebody who types, never twice at once
  const PARTS = ["rows", "stack", "coverage"];
  const busy = (part) => part.contains(document.activeElement) && typing(document.activeElement);
  const refresh = (part) => {
    const asks = part.querySelector("form[hx-get]") ?? part;
    if (busy(part) || asks.matches(".htmx-request") || part.matches(".htmx-request")) {
      part.dataset.due = "yes";
      return;
    }
    delete part.dataset.due;
    htmx.trigger(asks, "mig:refresh");
  };
  const refreshAll = () => PARTS.map((id) => document.getElementById(id)).filter(Boolean).forEach(refresh);
  const partOf = (element) => element.closest?.(PARTS.map((id) => `#${id}`).join());
  document.addEventListener("htmx:beforeSwap", (event) => {
    const part = partOf(event.detail.target);
    if (!part) return;
    const row = document.activeElement.closest("table[data-arrows] tbody tr");
    if (row && row === document.activeElement && part.contains(row)) part.dataset.row = row.sectionRowIndex;
    if (busy(part) && event.detail.requestConfig.triggeringEvent?.type === "mig:refresh") {
      event.detail.shouldSwap = false;
      part.dataset.due = "yes";
    }
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    prepare();
    const part = partOf(event.detail.target);
    if (!part) return;
    const row = part.querySelector("table[data-arrows]")?.tBodies[0].rows[part.dataset.row];
    delete part.dataset.row;
    if (row) { row.tabIndex = 0; row.focus(); }
    if (part.dataset.due) setTimeout(() => refresh(part));
  });
  document.addEventListener("focusout", (event) => {
    const part = partOf(event.target);
    if (part?.dataset.due) setTimeout(() => refresh(part), 300);
  });

  // -- a platform that says nothing: told on every page while something is waited for, and asked again
  const LATE = 3000, OFTEN = 1000, AGAIN = 5000, LONG = 10000, LEAVING = 120000;
  const asked = new Map();  // what is waited for, and since when
  let leaving = 0, looking;
  const look = async () => {
    const waits = document.getElementById("waiting");
    let now;
    try {
      now = await (await fetch(`/waiting?of=${encodeURIComponent(waits?.dataset.of ?? "")}`)).json();
    } catch {
      now = { silent: true, ready: false, text: "mig web itself does not answer: it has ended, or was started anew." };
    }
    const longest = asked.size ? Date.now() - Math.min(...asked.values()) : 0;
    const late = longest > LONG && !now.silent;
    const note = waits ?? document.getElementById("silence");
    if (!note) return;  // a page before there is a session
    if (now.silent || (waits && now.text)) note.textContent = now.text;
    else if (late) note.textContent = `The platform works on a part of this page for ${Math.round(longest / 1000)} s; what stands there is from before.`;
    if (!waits) note.hidden = !now.silent && !late;
    if (waits && now.ready) return location.reload();
    looking = waits || asked.size || now.silent || Date.now() < leaving ? setTimeout(look, OFTEN) : undefined;
  };
  const watch = () => { looking ??= setTimeout(look, LATE); };
  const expects = (what) => { asked.set(what, Date.now()); watch(); };
  const arrived = (what) => asked.delete(what);
  document.addEventListener("htmx:beforeRequest", (event) => expects(event.detail.xhr));
  document.addEventListener("htmx:afterRequest", (event) => {
    arrived(event.detail.xhr);
    // A part that could not be had because the platform is away is asked for again, where it still stands like that.
    const { xhr, target, requestConfig } = event.detail;
    if (xhr.status !== 502 || requestConfig.verb !== "get") return;
    setTimeout(() => {
      if (target.isConnected && target.querySelector(":scope > .problem")) htmx.ajax("GET", requestConfig.path, { target, values: requestConfig.parameters });
    }, AGAIN);
  });
  for (const kind of ["submit", "click"]) {
    document.addEventListener(kind, (event) => {
      if (event.defaultPrevented || (kind === "click" && !event.target.closest?.("a[href]"))) return;
      leaving = Date.now() + LEAVING;
      watch();
    });
  }

  // -- following an action: the server sends parts of the page, a few a second
  const PAUSE = 2000;
  const follow = () => {
    const live = document.querySelector("[data-follow]");
    if (!live) return;
    // A browser has six connections for a server: only the tab that is looked at keeps one open.
    let source, due = 0, over = false;
    const close = () => { arrived(live); source?.close(); source = undefined; };
    const say = (text) => {
      const note = document.getElementById("trouble");
      note.hidden = !text;
      note.textContent = text;
    };
    const open = () => {
      if (over || source || document.hidden) return;
      source = new EventSource(live.dataset.follow);
      expects(live);
      source.addEventListener("part", (event) => {
        arrived(live);
        say("");
        const part = JSON.parse(event.data);
        live.innerHTML = part.html;
        if (part.answered && Date.now() > due) {
          due = Date.now() + PAUSE;
          refreshAll();
        }
      });
      source.addEventListener("error", () => {
        if (source?.readyState !== EventSource.CLOSED) return;  // else the browser tries again by itself
        arrived(live);
        say("This does not go on: mig web has ended, or was started anew. Load the page again.");
      });
      source.addEventListener("end", () => {
        over = true;
        close();
        document.querySelectorAll("[data-while-live]").forEach((one) => one.remove());
        refreshAll();
      });
      source.addEventListener("silence", (event) => { arrived(live); say(JSON.parse(event.data)); });
      source.addEventListener("trouble", (event) => {
        const trouble = JSON.parse(event.data);
        over = !trouble.again;
        close();
        say(trouble.text);
        if (trouble.again) setTimeout(open, AGAIN);
      });
    };
    document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
    addEventListener("pagehide", close);
    open();
  };

  document.addEventListener("DOMContentLoaded", () => {
    prepare();
    follow();
    const waits = document.getElementById("waiting");
    if (waits) looking = setTimeout(look, Number(waits.dataset.waiting));
  });
})();
