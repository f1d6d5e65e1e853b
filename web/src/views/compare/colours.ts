/** Colours that distinguish lines in both themes; beyond eight, lines are dashed too. */
const COLOURS = 8;

export const lineColour = (index: number): string => `line-${(index % COLOURS) + 1}`;
export const dashOf = (index: number): number[] | undefined => (index >= COLOURS ? [6, 4] : undefined);
