// numberWords.ts: an English cardinal at the start of a text ("two hundred and fifty-five dollars") as a number, for answers
// that are written out. No ordinals, fractions, decimals in words, or other languages.

const UNITS =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen'.split(
    ' ',
  );
const TENS = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ');
const SCALES: Readonly<Record<string, number>> = { thousand: 1e3, million: 1e6, billion: 1e9 };

/** What makes "one" a pronoun, and number words a part of something else. */
const GOES_ON =
  /^(?:of|that|which|who|where|more|can|could|should|would|thing|point|or|to|half|third|quarter|another|minus|plus|times)$/;

/**
 * The number, or undefined where the text begins with no cardinal, or where that goes on as something else ("one of
 * them", "ten point five", "two to three").
 */
export function leadingNumberWords(text: string): number | undefined {
  const lead = /^[^\p{L}\d]{0,10}([\p{L}\s-]+)/u.exec(text.slice(0, 300).toLowerCase())?.[1] ?? '';
  const words = lead.split(/[\s-]+/).filter(Boolean);
  let [total, group, read] = [0, 0, 0];
  for (const word of words) {
    const unit = UNITS.indexOf(word);
    const ten = TENS.indexOf(word);
    // A smaller word must fit below the last one: "twenty five" is 25, "five twenty" two numbers.
    if (unit >= 0 && unit < 10 && ((group % 10 === 0 && group % 100 !== 10) || read === 0)) group += unit;
    else if (unit >= 10 && (group % 100 === 0 || read === 0)) group += unit;
    else if (ten >= 0 && group % 100 === 0) group += (ten + 2) * 10;
    else if (word === 'hundred' && (group < 10 || read === 0)) group = (group === 0 ? 1 : group) * 100;
    else if (SCALES[word] !== undefined && (group > 0 || read === 0)) {
      total += (group === 0 ? 1 : group) * SCALES[word];
      group = 0;
    } else if (word === 'and' && read > 0 && isNumberWord(words[words.indexOf('and', read) + 1])) {
      // "two hundred and five"
    } else if (!(word === 'a' && read === 0 && /^(?:hundred|thousand|million|billion)$/.test(words[1] ?? ''))) break;
    read++;
  }
  if (read === 0 || (words[0] === 'a' && read < 2)) return undefined;
  const next = words[read];
  if (next !== undefined && (GOES_ON.test(next) || isNumberWord(next) || next === 'and')) return undefined;
  return total + group;
}

const isNumberWord = (word: string | undefined): boolean =>
  word !== undefined && (UNITS.includes(word) || TENS.includes(word) || word === 'hundred' || word in SCALES);
