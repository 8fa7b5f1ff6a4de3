// Draws the dashboards of the chart from what a Prometheus has: the JSON as it is shipped, its queries as Grafana sends them,
// and Grafana's own panels, in a Chromium. A panel without data is a failure, and so is a picture that nobody would load.
import { createRequire } from 'node:module';
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const HERE = dirname(fileURLToPath(import.meta.url));
/** Where `fetch` beside this installs the libraries. */
const HOME = join(HERE, '../../target/pictures');
const library = createRequire(join(HOME, 'package.json'));
const [esbuild, { chromium }, UPNG] = ['esbuild', 'playwright-core', 'upng-js'].map((name) => library(name));
/** The width of a picture, in pixels. */
const WIDTH = 1400;
/** The largest picture, in bytes. */
const BYTES_MAX = 300_000;
/** So many points a panel's lines have at most. */
const POINTS_MAX = 240;
/** So many colours are enough for lines and letters. */
const COLOURS = 128;
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

const { values: options } = parseArgs({
  options: {
    prometheus: { type: 'string' },
    dashboards: { type: 'string', default: join(HERE, '../../charts/toolgate/files/dashboards') },
    out: { type: 'string' },
    minutes: { type: 'string', default: '15' },
    scrape: { type: 'string', default: '15' },
    set: { type: 'string', multiple: true, default: [] },
    only: { type: 'string' },
    to: { type: 'string' },
  },
});

const to = Number(options.to ?? Math.floor(Date.now() / 1000));
const from = to - Number(options.minutes) * 60;
const scrape = Number(options.scrape);
const step = Math.max(scrape, Math.ceil((to - from) / POINTS_MAX));

/** A query as Grafana sends it: all values of every variable, unless one was chosen. */
function filled(text, dashboard) {
  const chosen = new Map(options.set.map((pair) => pair.split('=', 2)));
  const variables = dashboard.templating.list.filter(({ type }) => type !== 'datasource');
  const whole = text
    .replaceAll('$__rate_interval', `${Math.max(step + scrape, 4 * scrape)}s`)
    .replaceAll('$__range', `${to - from}s`);
  return variables.reduce((text, { name }) => text.replaceAll(`$${name}`, chosen.get(name) ?? '.*'), whole);
}

async function ask(path, parameters) {
  const answer = await fetch(`${options.prometheus}${path}?${new URLSearchParams(parameters)}`);
  const { status, error, data } = await answer.json();
  if (status !== 'success') throw new Error(`${parameters.query}: ${error}`);
  return data.result;
}

const legend = (format, metric) => format.replaceAll(/\{\{\s*([^}\s]+)\s*\}\}/g, (_, label) => metric[label] ?? '');

async function framesOf(target, dashboard) {
  const query = filled(target.expr, dashboard);
  const time = { name: 'Time', type: 'time' };
  if (!target.instant) {
    const result = await ask('/api/v1/query_range', { query, start: from, end: to, step });
    return result.map(({ metric, values }) => {
      const known = new Map(values.map(([at, value]) => [at, Number(value)]));
      const instants = Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, index) => from + index * step);
      const number = (at) => (Number.isFinite(known.get(at)) ? known.get(at) : null);
      const name = legend(target.legendFormat, metric);
      return {
        refId: target.refId, name,
        fields: [
          { ...time, config: {}, values: instants.map((at) => at * 1000) },
          { name: 'Value', type: 'number', config: { displayNameFromDS: name }, values: instants.map(number) },
        ],
      };
    });
  }
  const result = await ask('/api/v1/query', { query, time: to });
  if (target.format === 'table') {
    const labels = [...new Set(result.flatMap(({ metric }) => Object.keys(metric)))].sort();
    const of = (label) => ({ name: label, type: 'string', config: {}, values: result.map(({ metric }) => metric[label] ?? '') });
    const times = { ...time, config: {}, values: result.map(() => to * 1000) };
    const numbers = { name: 'Value', type: 'number', config: {}, values: result.map(({ value }) => Number(value[1])) };
    return result.length ? [{ refId: target.refId, fields: [times, ...labels.map(of), numbers] }] : [];
  }
  return result.map(({ metric, value }) => {
    const name = legend(target.legendFormat, metric);
    const number = { name: 'Value', type: 'number', config: { displayNameFromDS: name }, values: [Number(value[1])] };
    return { refId: target.refId, name, fields: [{ ...time, config: {}, values: [to * 1000] }, number] };
  });
}

async function dataOf(dashboard) {
  const frames = {}, empty = [];
  for (const panel of dashboard.panels.filter(({ type }) => type !== 'row')) {
    const all = await Promise.all(panel.targets.map((target) => framesOf(target, dashboard)));
    frames[panel.id] = all.flat();
    const numbers = frames[panel.id].flatMap(({ fields }) => fields.at(-1).values);
    if (!numbers.some((value) => Number.isFinite(value))) empty.push(panel.title);
  }
  return { frames, empty };
}

async function bundle() {
  // Editors, maps and tracing that panels do not use.
  const unused = /^(monaco-editor|@monaco-editor|ol(\/|$)|@adobe|slate|@opentelemetry|@grafana\/faro)/;
  const nothing = {
    name: 'nothing',
    setup(build) {
      build.onResolve({ filter: unused }, ({ path }) => ({ path, namespace: 'nothing' }));
      build.onLoad({ filter: /.*/, namespace: 'nothing' }, () => ({
        contents: 'module.exports = new Proxy(function () {}, { get: (_, key) => (key === "__esModule" ? false : function () {}) });',
      }));
    },
  };
  const built = await esbuild.build({
    entryPoints: [join(HERE, 'panels.jsx')], bundle: true, write: false, outdir: '/', format: 'iife', minify: true,
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
    loader: { '.svg': 'dataurl', '.png': 'dataurl', '.woff2': 'dataurl', '.ttf': 'dataurl' },
    nodePaths: [join(HOME, 'node_modules')], plugins: [nothing], logLevel: 'error',
  });
  const of = (end) => built.outputFiles.filter(({ path }) => path.endsWith(end)).map(({ text }) => text).join('\n');
  return { script: of('.js'), style: of('.css') };
}

async function draw(browser, { script, style }, dashboard, frames) {
  const page = await browser.newPage({ viewport: { width: WIDTH + 32, height: 900 } });
  const faults = [];
  page.on('pageerror', (error) => faults.push(error.stack ?? String(error)));
  const drawing = { dashboard, frames, from: from * 1000, to: to * 1000, width: WIDTH };
  // A page of its own origin, for the library keeps settings in its storage; nothing is fetched for it.
  const html = `<!doctype html><meta charset="utf-8"><style>${style}</style><style>*,*::before,*::after{box-sizing:border-box}body{background:#f4f5f5;margin:0;padding:16px}</style><div id="root"></div>`;
  await page.route('**/*', (route) => route.fulfill({ contentType: 'text/html', body: html }));
  await page.goto('http://pictures.invalid/');
  await page.evaluate((drawing) => { window.drawing = drawing; }, drawing);
  await page.addScriptTag({ content: script });
  const lines = dashboard.panels.filter(({ id, type }) => type === 'timeseries' && frames[id].length).length;
  await page.waitForFunction((lines) => document.querySelectorAll('canvas').length >= lines, lines);
  await page.evaluate(() => document.fonts.ready);
  await page.waitForTimeout(500);
  const picture = UPNG.decode(await page.locator('#root').screenshot({ animations: 'disabled' }));
  await page.close();
  if (faults.length) throw new Error(`${dashboard.title}: ${faults[0]}`);
  return Buffer.from(UPNG.encode(UPNG.toRGBA8(picture), picture.width, picture.height, COLOURS));
}

const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
const faults = [];
try {
  const made = await bundle();
  await mkdir(options.out, { recursive: true });
  for (const file of (await readdir(options.dashboards)).sort()) {
    if (options.only && file !== options.only) continue;
    const dashboard = JSON.parse(await readFile(join(options.dashboards, file), 'utf8'));
    const { frames, empty } = await dataOf(dashboard);
    if (empty.length) faults.push(`${file}: nothing to draw in ${empty.join(', ')}`);
    const path = resolve(options.out, file.replace(/json$/, 'png'));
    await writeFile(path, await draw(browser, made, dashboard, frames));
    const { size } = await stat(path);
    console.log(`${path}  ${dashboard.panels.length} panels, ${Math.ceil(size / 1000)} kB`);
    if (size > BYTES_MAX) faults.push(`${path} has ${size} bytes, more than ${BYTES_MAX}`);
  }
} finally {
  await browser.close();
}
if (faults.length) {
  console.error(faults.join('\n'));
  process.exit(1);
}
