// Draws one dashboard with Grafana's own panel library. The page is given `window.drawing`: the dashboard as it is shipped, and
// for each panel the frames that its queries gave. It says `window.drawn` when everything is there.
import React from 'react';
import { createRoot } from 'react-dom/client';
import 'uplot/dist/uPlot.min.css';
import {
  FieldType, ThemeContext, createTheme, dateTime, fieldMatchers, fieldReducers, getDisplayProcessor, getFieldDisplayValues,
  reduceField, toDataFrame, transformDataFrame, standardTransformersRegistry, standardTransformers,
} from '@grafana/data';
import { BarGauge, BigValue, GlobalStyles, PanelChrome, Table, TimeSeries, VizRepeater } from '@grafana/ui';

const COLUMNS = 24;
const ROW = 30;
const GAP = 8;
const HEAD = 84;

const { dashboard, frames, from, to, width } = window.drawing;
const theme = createTheme({ colors: { mode: 'light' } });
const timeZone = 'utc';
const timeRange = { from: dateTime(from), to: dateTime(to), raw: { from: dateTime(from), to: dateTime(to) } };

standardTransformersRegistry.setInit(() =>
  // Under the name that panels know it by; some are there twice.
  [...new Map(Object.values(standardTransformers).map((one) => [one.id, one])).values()]
    .map((transformation) => ({ id: transformation.id, name: transformation.name, transformation, editor: () => null })));

// What Grafana's `applyFieldOverrides` does, whose list of options lives in the application and not in the library.
function configured(frame, { defaults, overrides }, counted) {
  const fields = frame.fields.map((field) => {
    const config = { ...defaults, ...field.config, custom: { ...defaults.custom } };
    for (const { matcher, properties } of overrides) {
      if (!fieldMatchers.get(matcher.id).get(matcher.options)(field, frame, [frame])) continue;
      for (const { id, value } of properties) {
        const [of, name] = id.split('.');
        if (name) config[of] = { ...config[of], [name]: value };
        else config[id] = value;
      }
    }
    const made = { ...field, config };
    if (field.type === FieldType.number) {
      made.state = { ...field.state, seriesIndex: counted.next++ };
    }
    made.display = getDisplayProcessor({ field: made, theme, timeZone });
    return made;
  });
  return { ...frame, fields };
}

// Colours that grow with the value need to know the least and the largest of all series.
function ranged(all) {
  const numbers = all.flatMap(({ fields }) => fields.filter(({ type }) => type === FieldType.number));
  const found = numbers.map((field) => reduceField({ field, reducers: ['min', 'max'] }));
  const least = Math.min(...found.map(({ min }) => min ?? Infinity));
  const largest = Math.max(...found.map(({ max }) => max ?? -Infinity));
  for (const field of numbers) {
    const [min, max] = [field.config.min ?? least, field.config.max ?? largest];
    field.state = { ...field.state, range: { min, max, delta: max - min } };
    field.display = getDisplayProcessor({ field, theme, timeZone });
  }
  return all;
}

function dataOf(panel) {
  const counted = { next: 0 };
  return ranged(frames[panel.id].map((frame) => configured(toDataFrame(frame), panel.fieldConfig, counted)));
}

function legendOf(panel) {
  return panel.options.legend;
}

function Lines({ panel, width, height }) {
  return (
    <TimeSeries
      frames={dataOf(panel)} timeRange={timeRange} timeZone={timeZone} width={width} height={height}
      legend={legendOf(panel)} options={panel.options} />
  );
}

function values(panel) {
  const { defaults } = panel.fieldConfig;
  return getFieldDisplayValues({
    data: dataOf(panel), theme, timeZone, reduceOptions: panel.options.reduceOptions,
    fieldConfig: { defaults, overrides: [] }, replaceVariables: (text) => text,
  });
}

function Stat({ panel, width, height }) {
  const { colorMode, graphMode, justifyMode, textMode } = panel.options;
  const all = values(panel);
  return (
    <VizRepeater
      source={all} getValues={() => all} width={width} height={height} orientation="vertical" renderCounter={0} itemSpacing={3}
      renderValue={({ value, width, height, count }) => (
        <BigValue
          value={value.display} width={width} height={height} colorMode={colorMode} graphMode={graphMode}
          justifyMode={justifyMode} textMode={textMode === 'auto' && count === 1 ? 'value' : textMode} theme={theme} />
      )} />
  );
}

function Bars({ panel, width, height }) {
  const { displayMode, orientation, showUnfilled, valueMode, minVizHeight, minVizWidth, namePlacement, text } = panel.options;
  const all = values(panel);
  const longest = all.reduce((text, { display }) => (display.title?.length > text.length ? display.title : text), '');
  return (
    <VizRepeater
      source={all} getValues={() => all} width={width} height={height} orientation={orientation} renderCounter={0}
      itemSpacing={8} minVizHeight={minVizHeight} minVizWidth={minVizWidth}
      renderValue={({ value, width, height }) => (
        <BarGauge
          value={value.display} field={value.field} display={value.view?.getFieldDisplayProcessor(value.colIndex ?? 1)}
          width={width} height={height} orientation={orientation} displayMode={displayMode} showUnfilled={showUnfilled}
          valueDisplayMode={valueMode} namePlacement={namePlacement} text={text} theme={theme} alignmentFactors={{ title: longest, text: '00000' }} />
      )} />
  );
}

function Rows({ panel, width, height }) {
  const [data, setData] = React.useState();
  React.useEffect(() => {
    const counted = { next: 0 };
    transformDataFrame(panel.transformations ?? [], frames[panel.id].map((frame) => toDataFrame(frame)))
      .subscribe((all) => setData(ranged([configured(all[0], panel.fieldConfig, counted)])[0]));
  }, []);
  if (!data) return null;
  return (
    <Table
      data={data} width={width} height={height} initialSortBy={panel.options.sortBy} cellHeight={panel.options.cellHeight}
      timeRange={timeRange} />
  );
}

const KINDS = { timeseries: Lines, stat: Stat, bargauge: Bars, table: Rows };

function Panel({ panel }) {
  const { x, y, w, h } = panel.gridPos;
  const column = (width + GAP) / COLUMNS;
  const place = { position: 'absolute', left: x * column, top: HEAD + y * (ROW + GAP) };
  if (panel.type === 'row') {
    return <div style={{ ...place, fontSize: 18, fontWeight: 500, lineHeight: `${ROW}px` }}>{panel.title}</div>;
  }
  const Kind = KINDS[panel.type];
  return (
    <div style={place}>
      <PanelChrome title={panel.title} width={w * column - GAP} height={h * (ROW + GAP) - GAP} padding="md">
        {(width, height) => (frames[panel.id].length ? <Kind panel={panel} width={width} height={height} /> : 'No data')}
      </PanelChrome>
    </div>
  );
}

function Dashboard() {
  const rows = Math.max(...dashboard.panels.map(({ gridPos: { y, h } }) => y + h));
  const until = new Date(to).toISOString().slice(0, 16).replace('T', ' ');
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div id="dashboard" style={{ position: 'relative', width, height: HEAD + rows * (ROW + GAP) }}>
        <div style={{ fontSize: 26, fontWeight: 500, lineHeight: '36px' }}>{dashboard.title}</div>
        <div style={{ color: theme.colors.text.secondary }}>{dashboard.description} {Math.round((to - from) / 60000)} minutes until {until} UTC.</div>
        {dashboard.panels.map((panel) => <Panel key={panel.id} panel={panel} />)}
      </div>
    </ThemeContext.Provider>
  );
}

createRoot(document.getElementById('root')).render(<Dashboard />);
