// The tabs of the front page, the search, the menu of narrow windows. Without it, all programs are shown, the menu is a link to the
// list of pages at the end, and there is no search.

/** Shows the sections of `box`, each with its heading, as tabs. */
function tabs(box) {
  const headings = [...box.querySelectorAll(':scope > h3')];
  const list = document.createElement('div');
  list.setAttribute('role', 'tablist');
  list.setAttribute('aria-label', box.getAttribute('aria-label'));
  const all = headings.map((heading) => {
    const tab = document.createElement('button');
    const panel = heading.nextElementSibling;
    const name = heading.textContent.trim();
    tab.type = 'button';
    tab.textContent = name;
    tab.id = `tab-${heading.id}`;
    tab.setAttribute('role', 'tab');
    tab.setAttribute('aria-controls', `panel-${heading.id}`);
    panel.id = `panel-${heading.id}`;
    panel.setAttribute('role', 'tabpanel');
    panel.setAttribute('aria-labelledby', tab.id);
    panel.tabIndex = 0;
    heading.remove();
    list.append(tab);
    return { tab, panel, name };
  });
  const select = (chosen) => {
    for (const one of all) {
      const isChosen = one === chosen;
      one.tab.setAttribute('aria-selected', isChosen);
      one.tab.tabIndex = isChosen ? 0 : -1;
      one.panel.hidden = !isChosen;
    }
  };
  list.addEventListener('click', ({ target }) => {
    const chosen = all.find(({ tab }) => tab === target);
    if (chosen) select(chosen);
  });
  list.addEventListener('keydown', (event) => {
    const at = all.findIndex(({ tab }) => tab === document.activeElement);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const chosen = all.at(next % all.length);
    select(chosen);
    chosen.tab.focus();
  });
  box.prepend(list);
  select(all[0]);
}

/** Returns the entries that have all words of the query, the best first. */
function find(query, limit) {
  const wanted = query.trim().toLowerCase();
  const words = wanted.split(/\s+/);
  const rank = (name) => {
    if (name === wanted || name.endsWith(`_${wanted}`) || name.endsWith(`::${wanted}`)) return 0;
    if (name.startsWith(wanted)) return 1;
    return name.includes(wanted) ? 2 : 3;
  };
  const found = window.entries.filter(([name, , where]) =>
    words.every((word) => `${name} ${where}`.toLowerCase().includes(word)),
  );
  return found
    .map((entry) => ({ entry, order: rank(entry[0].toLowerCase()) }))
    .sort((a, b) => a.order - b.order || a.entry[0].length - b.entry[0].length)
    .slice(0, limit)
    .map(({ entry }) => entry);
}

/** Lists what the search finds while the field changes. The arrow keys lead from the field through the links. */
function search(box) {
  const field = box.querySelector('input');
  const list = box.querySelector('ul');
  const status = box.querySelector('[role=status]');
  const close = () => {
    list.hidden = true;
    status.textContent = '';
  };
  const show = () => {
    if (!field.value.trim()) return close();
    const items = find(field.value, 20).map(([name, href, where]) => {
      const item = document.createElement('li');
      const link = document.createElement('a');
      const place = document.createElement('small');
      link.href = href;
      link.textContent = name;
      place.textContent = where;
      link.append(' ', place);
      item.append(link);
      return item;
    });
    status.textContent = items.length ? `${items.length} results` : 'No results';
    list.replaceChildren(...items);
    list.hidden = !items.length;
    return undefined;
  };
  field.addEventListener('input', show);
  field.addEventListener('focus', show);
  box.addEventListener('keydown', (event) => {
    const links = [...list.querySelectorAll('a')];
    const at = links.indexOf(document.activeElement);
    if (event.key === 'ArrowDown') (links[at + 1] ?? field).focus();
    else if (event.key === 'ArrowUp') (at < 0 ? links.at(-1) : (links[at - 1] ?? field))?.focus();
    else if (event.key === 'Enter' && at < 0) links[0]?.click();
    else if (event.key === 'Escape') {
      field.focus();
      close();
    } else return;
    event.preventDefault();
  });
  box.addEventListener('focusout', ({ relatedTarget }) => {
    if (!box.contains(relatedTarget)) close();
  });
  list.addEventListener('click', close);
  document.addEventListener('keydown', (event) => {
    if (event.key !== '/' || document.activeElement === field) return;
    event.preventDefault();
    field.focus();
  });
  box.hidden = false;
}

/** Makes the link to the list of pages a button that shows and hides it. */
function menu(link, pages) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = link.className;
  button.textContent = link.textContent;
  button.setAttribute('aria-controls', pages.id);
  const show = (isShown) => {
    document.documentElement.classList.toggle('menu-shown', isShown);
    button.setAttribute('aria-expanded', isShown);
  };
  button.addEventListener('click', () => show(button.getAttribute('aria-expanded') === 'false'));
  document.addEventListener('keydown', ({ key }) => {
    if (key !== 'Escape' || button.getAttribute('aria-expanded') === 'false') return;
    show(false);
    button.focus();
  });
  show(false);
  link.replaceWith(button);
  document.documentElement.classList.add('with-menu');
}

/** Lets the keyboard scroll code and tables that are wider than the page. */
function scrollable() {
  for (const box of document.querySelectorAll('.fragment, .wide')) {
    if (box.getAttribute('role') === 'tabpanel') continue;
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute('tabindex');
  }
}

for (const box of document.querySelectorAll('.programs')) tabs(box);
search(document.querySelector('search'));
menu(document.querySelector('.menu'), document.getElementById('pages'));
scrollable();
addEventListener('resize', scrollable);
const here = document.querySelector('#pages [aria-current]');
if (here && matchMedia('(min-width: 900px)').matches) {
  const pages = document.getElementById('pages');
  pages.scrollTop = here.offsetTop - pages.clientHeight / 2;
}
