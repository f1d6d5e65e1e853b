// Reads Flux with InfluxData's own parser: is it valid (syntax, names, types of functions), what does it read, and does
// it use a column that is not there?
//
// Standard input: {NAME: FLUX}. Standard output: {NAME: {faults: [TEXT], reads: [{measurement, fields, columns}]}},
// where `columns` are those that a query takes for granted: they must be tags.

import { readFileSync } from 'node:fs';

import lsp from '@influxdata/flux-lsp-node';

const GIVEN = new Set(['_time', '_value', '_field', '_measurement', '_start', '_stop']);

/** Every node of a syntax tree, a parent before its children. */
function* nodes(tree) {
  if (tree === null || typeof tree !== 'object') return;
  if (typeof tree.type === 'string') yield tree;
  for (const [key, child] of Object.entries(tree)) {
    if (key !== 'location') yield* nodes(child);
  }
}

const nameOf = (key) => key.name ?? key.value;

/** The name of the column, where a node is `r.name`. */
function column(node) {
  if (node?.type !== 'MemberExpression' || node.object.name !== 'r') return undefined;
  return nameOf(node.property);
}

/** Values that a column is compared with by `==`. */
function compared(tree, name) {
  const found = [...nodes(tree)].filter((node) => node.type === 'BinaryExpression' && node.operator === '==');
  return found.filter((node) => column(node.left) === name).map((node) => node.right.value);
}

/** The chains of stages, each as a list of calls. */
function chains(file) {
  const inner = new Set();
  const found = file.body.map((it) => it.expression).filter((it) => it?.type === 'CallExpression').map((it) => [it]);
  for (const node of nodes(file)) {
    if (node.type !== 'PipeExpression' || inner.has(node)) continue;
    const calls = [];
    let at = node;
    for (; at.type === 'PipeExpression'; at = at.argument) {
      inner.add(at);
      calls.unshift(at.call);
    }
    calls.unshift(at);
    found.push(calls);
  }
  return found;
}

/** The name of the function that is called: `from`, or `tagValues` of `schema.tagValues`. */
const callee = (call) => nameOf(call.callee ?? {}) ?? nameOf(call.callee?.property ?? {});

/** Names in `columns: [...]`, `rowKey: [...]` and the like, which must exist. */
function listed(call) {
  const lists = [...nodes(call.arguments ?? [])].filter((node) => node.type === 'ArrayExpression');
  return lists.flatMap((list) => list.elements.map((element) => element.value));
}

/** Columns that a stage makes: keys of the records that functions return, and new names. */
function made(call) {
  if (!['map', 'rename', 'set', 'duplicate'].includes(callee(call))) return [];
  const records = [...nodes(call.arguments)].filter((node) => node.type === 'ObjectExpression');
  const renamed = callee(call) === 'rename';
  return records.flatMap((it) => it.properties.flatMap((p) => (renamed ? [p.value.value] : [nameOf(p.key)])));
}

/** What a listing of tags or of their values takes for granted. */
function readSchema(call) {
  const named = call.arguments.flatMap((it) => it.properties).filter((it) => nameOf(it.key) === 'tag');
  const columns = [...[...nodes(call)].map(column), ...named.map((it) => it.value.value)];
  const unknown = new Set(columns.filter((name) => name !== undefined && !GIVEN.has(name)));
  return compared(call, '_measurement').map((measurement) => ({ measurement, fields: [], columns: [...unknown] }));
}

/** What one chain reads, and the columns that it takes for granted. */
function read(calls) {
  if (callee(calls[0]).startsWith('tag')) return readSchema(calls[0]);
  if (callee(calls[0]) !== 'from') return [];
  const filters = calls.filter((call) => callee(call) === 'filter');
  const [measurements, fields] = ['_measurement', '_field'].map((name) => filters.flatMap((f) => compared(f, name)));
  const known = new Set(GIVEN);
  const columns = new Set();
  for (const call of calls.slice(1)) {
    if (callee(call) === 'pivot') fields.forEach((field) => known.add(field));
    if (callee(call) !== 'range') {
      const used = [...[...nodes(call)].map(column).filter((name) => name !== undefined), ...listed(call)];
      used.filter((name) => !known.has(name)).forEach((name) => columns.add(name));
    }
    made(call).forEach((name) => known.add(name));
  }
  return measurements.map((measurement) => ({ measurement, fields, columns: [...columns] }));
}

function report(text) {
  const faults = lsp.is_valid_flux(text) ? [] : ['not valid Flux'];
  const reads = faults.length > 0 ? [] : chains(lsp.parse(text)).flatMap(read);
  return { faults, reads };
}

const queries = JSON.parse(readFileSync(0, 'utf8'));
process.stdout.write(JSON.stringify(Object.fromEntries(Object.entries(queries).map(([k, v]) => [k, report(v)]))));
