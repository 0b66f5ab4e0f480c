// The file of the catalogue's figures, as it is written: by whoever refreshes it, and by nobody else.
import { type CatalogueRegion, type Figures, formatFigures } from '#adapters/catalogue-text';

export type Region = Omit<CatalogueRegion, 'figures'> & { readonly figures: readonly Figures[] };

/** The whole file. Regions stand in the order of their names. */
export const writeCatalogue = (regions: readonly Region[]): string =>
  `${HEAD}${[...regions]
    .sort((a, b) => (a.region < b.region ? -1 : 1))
    .map(regionText)
    .join('')}];
`;

const HEAD = `// Figures of the seed catalogue: on-demand Linux prices and sizes of EC2 instance types, as facts with their source and date.
// Written by \`npm run catalogue\`; catalogue-text.ts says how the lines are read.
import type { CatalogueRegion } from '#adapters/catalogue-text';

export const CATALOGUE: readonly CatalogueRegion[] = [
`;

const regionText = ({ region, priceDate, priceSource, sizeSource, figures }: Region): string => `  {
    region: ${quoted(region)},
    priceDate: ${priceDate === null ? 'null' : quoted(priceDate)},
    priceSource: ${quoted(priceSource)},
    sizeSource: ${quoted(sizeSource)},
    figures: \`
${formatFigures(figures)}
\`,
  },
`;

/** What the formatter would write, so that a refreshed file needs no other hand. */
const quoted = (text: string): string => `'${text.replace(/[\\']/g, '\\$&').replace(/\s+/g, ' ')}'`;
