// board.js: the board's page: hears boards and shows them. Runs in a browser as it stands; every text is put there as text,
// and is written by the server (boardText.ts), so that page and terminal say the same.

/** @param {string} id */
const find = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {string} name @param {string} [text] @param {string} [className] */
function make(name, text, className) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className !== undefined) element.className = className;
  return element;
}

/** @param {string} text @param {'row' | 'col'} scope */
function headCell(text, scope) {
  const cell = document.createElement('th');
  cell.textContent = text;
  cell.scope = scope;
  return cell;
}

/** @typedef {{ id: string, title: string, state: string, share?: number, doing?: string, time: string, where?: string, begun: number, why?: string }} Row */
/** @typedef {{ name: string, summary: string, rows: Row[] }} Grid */

/** @param {Row} row */
function tableRow({ id, title, state, share, doing, time, where, begun, why }) {
  const line = make('tr', undefined, state);
  const progress = make('td');
  if (share !== undefined) {
    const percent = `${Math.floor(100 * share)} %`;
    const bar = document.createElement('progress');
    bar.value = share;
    bar.setAttribute('aria-label', `${title}: ${percent}`);
    progress.append(bar, percent);
  }
  if (doing !== undefined) progress.append(make('div', doing));
  const place = make('td', where);
  if (begun > 1) place.append(make('div', `begun ${begun} times`));
  if (why !== undefined) place.append(make('div', why, 'why'));
  const job = headCell('', 'row');
  job.append(make('div', title), make('div', id, 'id'));
  line.append(job, make('td', state, 'state'), progress, make('td', time), place);
  return line;
}

/** @param {Grid} grid */
function section({ name, summary, rows }) {
  const part = make('section');
  part.setAttribute('aria-label', name);
  const table = make('table');
  const head = make('thead');
  const names = make('tr');
  names.append(...['Job', 'State', 'Progress', 'Time', 'Where and why'].map((text) => headCell(text, 'col')));
  head.append(names);
  const body = make('tbody');
  body.append(...rows.map(tableRow));
  table.append(head, body);
  part.append(make('h2', name), make('p', summary), table);
  return part;
}

const source = new EventSource('events');
source.onmessage = (/** @type {MessageEvent<string>} */ { data }) => {
  /** @type {{ about: string, paused: boolean, at: string, empty?: string, grids: Grid[] }} */
  const board = JSON.parse(data);
  find('away').textContent = '';
  find('about').textContent = `${board.about}, as of ${new Date(board.at).toLocaleTimeString()}`;
  find('about').className = board.paused ? 'paused' : '';
  const empty = board.empty === undefined ? [] : [make('p', board.empty)];
  find('grids').replaceChildren(...empty, ...board.grids.map(section));
};
source.onerror = () => {
  find('away').textContent = 'The board is away: pupil board has ended, or cannot reach the queue. Trying again.';
};
