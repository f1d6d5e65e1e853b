// YAML from plain data: block style, every text in double quotes (JSON's are YAML's) or, with several lines, as a
// literal block.

const isPlain = (key) => /^[A-Za-z_][\w-]*$/.test(key);

function scalar(value, indent) {
  if (typeof value !== 'string') return JSON.stringify(value);
  if (!value.includes('\n')) return JSON.stringify(value);
  const lines = value.split('\n').map((line) => (line === '' ? '' : `${indent}${line}`));
  return `|-\n${lines.join('\n')}`;
}

function node(value, indent) {
  if (value === null || typeof value !== 'object') return ` ${scalar(value, indent)}\n`;
  const entries = Array.isArray(value) ? value : Object.entries(value);
  if (entries.length === 0) return Array.isArray(value) ? ' []\n' : ' {}\n';
  if (Array.isArray(value)) {
    // The first line of an entry follows its dash.
    const entry = (one) => node(one, `${indent}  `).replace(/^\n? */, `${indent}- `);
    return `\n${value.map(entry).join('')}`;
  }
  const pair = ([key, one]) => `${indent}${isPlain(key) ? key : JSON.stringify(key)}:${node(one, `${indent}  `)}`;
  return `\n${entries.map(pair).join('')}`;
}

/** The document of a mapping. */
export function toYaml(document) {
  return node(document, '').slice(1);
}
