// world.ts: the small world of the lesson: people, countable things, containers, twelve kinds of things with what is true
// of them, and eight physical qualities with the tools that have them and the jobs that need them. Word lists only: what
// is said with them is in the other files, and vocabulary.ts gives every word its token.

/** Someone in a story, with the pronoun that stands for them. */
export interface Person {
  name: string;
  pronoun: 'he' | 'she';
}

const she = 'Anna Clara Emma Eva Grace Ida Kate Lucy Maria Mia Rosa Zoe';
const he = 'Ben Carl David Finn Henry Jack Leo Max Noah Paul Peter Tom';

const words = (list: string): string[] => list.split(' ');
const people = (list: string, pronoun: Person['pronoun']): Person[] => words(list).map((name) => ({ name, pronoun }));

export const PEOPLE: readonly Person[] = [...people(she, 'she'), ...people(he, 'he')];

/** What can be counted in a story. One is never counted, so that no singular is needed. */
export const FOOD: readonly string[] = words('apples cakes cookies eggs nuts pears plums');
export const THINGS: readonly string[] = [
  ...FOOD,
  ...words('balls beads books buttons cards coins cups dolls flowers hats keys marbles pencils pens shells stamps'),
  ...words('stickers toys'),
];

/** A word in both numbers: [one, many]. */
export type Countable = readonly [one: string, many: string];

/** What things are packed into, in equal numbers. */
export const CONTAINERS: readonly Countable[] = [
  ['bag', 'bags'],
  ['basket', 'baskets'],
  ['box', 'boxes'],
  ['jar', 'jars'],
  ['pack', 'packs'],
  ['tray', 'trays'],
];

/** What gives points in a game. */
export const PRIZES: readonly Countable[] = [
  ['coin', 'coins'],
  ['key', 'keys'],
  ['shell', 'shells'],
  ['star', 'stars'],
];

/** A category: what belongs to it, and what is true of all of it and of no other one ("has fins"). */
export interface Kind {
  name: string;
  members: readonly string[];
  properties: readonly string[];
}

const kind = (name: string, members: string, ...properties: string[]): Kind => ({
  name,
  members: words(members),
  properties,
});

export const KINDS: readonly Kind[] = [
  kind('bird', 'crow duck eagle hawk owl robin sparrow swan', 'has feathers', 'has a beak', 'hatches chicks'),
  kind('fish', 'carp cod eel herring salmon shark trout tuna', 'has fins', 'has gills', 'breathes under water'),
  kind(
    'insect',
    'ant bee beetle cricket locust moth termite wasp',
    'has six legs',
    'crawls on leaves',
    'fears spiders',
  ),
  kind('tree', 'ash birch cedar elm maple oak pine willow', 'has bark', 'grows tall', 'gives wood'),
  kind(
    'flower',
    'daisy iris lily orchid poppy rose tulip violet',
    'has petals',
    'smells sweet',
    'attracts butterflies',
  ),
  kind(
    'fruit',
    'apricot cherry fig lemon mango orange peach plum',
    'hangs from branches',
    'makes jam',
    'ripens in summer',
  ),
  kind('drink', 'cider cocoa coffee juice lemonade milk soda tea', 'stops thirst', 'fills glasses', 'pours easily'),
  kind(
    'metal',
    'copper gold iron lead nickel silver tin zinc',
    'conducts electricity',
    'melts in fire',
    'comes from mines',
  ),
  kind('fabric', 'cotton denim felt lace linen silk velvet wool', 'makes clothes', 'feels smooth', 'covers chairs'),
  kind('vehicle', 'bus car taxi tractor train tram truck van', 'has wheels', 'carries people', 'needs a driver'),
  kind('instrument', 'banjo cello drum flute guitar harp piano violin', 'makes music', 'plays notes', 'needs practice'),
  kind(
    'building',
    'cabin castle church hospital hotel house palace school',
    'has rooms',
    'has a roof',
    'gives shelter',
  ),
];

/** A physical quality: the tools that have it, and the jobs it is needed for ("cut paper"). */
export interface Quality {
  name: string;
  tools: readonly string[];
  jobs: readonly string[];
}

const quality = (name: string, tools: string, ...jobs: string[]): Quality => ({ name, tools: words(tools), jobs });

export const QUALITIES: readonly Quality[] = [
  quality('sharp', 'axe blade chisel knife razor saw', 'cut paper', 'slice bread', 'carve wood'),
  quality('heavy', 'anchor anvil boulder brick rock stone', 'hold a door', 'drive a nail', 'crack a nut'),
  quality('soft', 'blanket cushion foam pillow quilt towel', 'protect a vase', 'comfort a baby', 'wrap a gift'),
  quality('hot', 'furnace grill heater kettle oven stove', 'boil an egg', 'melt butter', 'warm soup'),
  quality('bright', 'beacon bulb candle lamp lantern torch', 'light a room', 'signal a ship', 'show the way'),
  quality('sticky', 'glue gum paste resin tape wax', 'seal a letter', 'join paper', 'hang a poster'),
  quality('long', 'cable chain cord ladder pole rope', 'reach a shelf', 'measure a wall', 'tie a boat'),
  quality('hollow', 'barrel bottle bowl bucket jug pot', 'carry oil', 'collect rain', 'store rice'),
];

/** "a fruit", "an insect". */
export const withArticle = (noun: string): string => `${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun}`;

/** A sentence begins with a capital. */
export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
