/** A requirement that a simulated response breaks, in its own words, and what stands there once it is mended. */
export interface Flaw {
  /** The sentence in the response. Whoever reads it sees what is wrong. */
  readonly broken: string;
  /** Sentences that may take its place; they share hardly a word with it, so that a word diff can be read. */
  readonly mended: readonly [string, ...string[]];
  /** The requirement, as a judge names it. */
  readonly requirement: string;
}

export const flaws: readonly Flaw[] = [
  {
    broken: 'I left out the example, because I could not think of one.',
    mended: [
      'For instance, take a walk and count what catches your eye.',
      'Picture a baker who starts every day with a list.',
    ],
    requirement: 'an example is given',
  },
  {
    broken: 'Sorry, all this runs on for much longer than was allowed.',
    mended: ['Every word fits within the permitted length.', 'It stays well inside its limit.'],
    requirement: 'the length stays within its limit',
  },
  {
    broken: 'I skipped the last part of the task.',
    mended: ['Even your final request is met.', 'Nothing that you wanted is missing.'],
    requirement: 'every part of the task is done',
  },
  {
    broken: 'I ignored the format and wrote it as one block.',
    mended: [
      'Its layout follows your request exactly.',
      'You will find each piece where you expected.',
    ],
    requirement: 'the requested format is used',
  },
  {
    broken: 'Here I used a word that I was told to avoid.',
    mended: ['None of your forbidden expressions appears.', 'All banned terms are absent.'],
    requirement: 'forbidden words are avoided',
  },
  {
    broken: 'Dunno, being polite did not work out, whatever.',
    mended: [
      'Thank you for asking; I hope that this is of help.',
      'It was a pleasure to write these lines for you.',
    ],
    requirement: 'the tone is polite throughout',
  },
  {
    broken: 'I answered some neighbouring question, not yours.',
    mended: [
      'With that, exactly what you wanted to know is explained.',
      'So much for the point that you raised.',
    ],
    requirement: 'the question itself is answered',
  },
  {
    broken: 'I forgot the keyword that had to appear.',
    mended: [
      'Each term on your list can be found here.',
      'Everything you wanted mentioned is mentioned.',
    ],
    requirement: 'the required keywords appear',
  },
  {
    broken: 'I have no idea for whom this is written.',
    mended: [
      'Dear readers, you are addressed by name now.',
      'Your audience gets its own greeting.',
    ],
    requirement: 'the named readers are addressed',
  },
  {
    broken: 'I made the numbers up.',
    mended: [
      'Only figures from your request are used.',
      'Each figure can be traced to its source.',
    ],
    requirement: 'the given numbers are used',
  },
  {
    broken: 'I mixed up the order of the points.',
    mended: [
      'First things come first, just as you wanted.',
      'One step leads to another, as requested.',
    ],
    requirement: 'the requested order is kept',
  },
  {
    broken: 'I could not be bothered with the ending that was requested.',
    mended: ['And so it closes just as you wished.', 'Here it finishes, as you said it should.'],
    requirement: 'the ending is of the requested kind',
  },
];

/** The words that tell openings apart: choices of one call take them in turn, so they differ from the start. */
export const adjectives: readonly string[] = [
  'careful',
  'short',
  'plain',
  'lively',
  'honest',
  'quiet',
  'thorough',
  'simple',
  'friendly',
  'sober',
  'detailed',
  'modest',
  'bright',
  'patient',
  'direct',
  'considered',
];

/** What can be said about anything. `{topic}` is a word of the instruction. */
export const sentences: readonly string[] = [
  'The first thing to say about {topic} is how it all began.',
  'Most people meet {topic} early and think about it late.',
  'It helps to look at {topic} from two sides.',
  'Some details matter more than they seem to.',
  'A good start is to write down what is already known.',
  'In daily life, one meets {topic} in small ways.',
  'The cost is low and the use is high.',
  'One step at a time is fast enough.',
  'Nobody needs special tools for this.',
  'What looks hard at first becomes a habit within a week.',
  'With {topic}, patience pays more than talent.',
  'There are three reasons, and the second one is the strongest.',
  'The weather plays a part, though a smaller one than one would think.',
  'A friend can help, and often does.',
  'Older books treat {topic} as a matter of taste.',
  'Newer ones count and compare.',
  'Both views have something to offer.',
  'It is worth asking who gains from it.',
  'The answer differs from town to town.',
  'Children understand this sooner than their parents.',
  'A list on the kitchen door is all the planning that it takes.',
  'With {topic} in place, the rest follows.',
  'Mistakes are part of it and cost little.',
  'Keep what works and leave the rest.',
  'The evening is a better time for this than the morning.',
  'Whoever has done it twice can teach it.',
  'Very little has changed here in fifty years.',
  'The best part of {topic} comes without effort.',
  'A pencil is better than a pen for this.',
  'Rest belongs to the work.',
  'It should be said that opinions differ.',
  'In the end, everything about {topic} asks for attention.',
];

/** How a judge may begin. */
export const checks: readonly string[] = [
  'I go through the requirements one by one.',
  'Let me check each requirement of the instruction.',
  'First the requirements, then the response.',
  'I compare the response with what was asked for.',
  'Step by step, this is what I find.',
];

/** What a judge finds in order, whatever the response. `{topic}` as above. */
export const findings: readonly string[] = [
  'The response is about {topic}. Met.',
  'The language is that of the instruction. Met.',
  'It reads well and is complete in itself. Met.',
  'Nothing in it contradicts the instruction. Met.',
  'It says what it is about in its first sentence. Met.',
  'The sentences are in a sensible order. Met.',
];

/** What takes the place of a verdict when a vote cannot be read, under lenient and strict rules alike. */
export const unreadable: readonly string[] = [
  'I find it hard to say, and leave the decision to others.',
  'Final Judgement: Undecided',
  'Final Judgement:',
  'Overall this is a fair response, with good and bad sides.',
];

/** How a refiner may reflect. `{requirement}` is what was broken. */
export const reflections: readonly string[] = [
  'Looking at the check: it must hold that {requirement}. I change that sentence and keep the rest.',
  'One requirement is broken: {requirement}. The smallest change is to replace one sentence.',
  'The check is right to insist that {requirement}. Everything else can stay as it is.',
];

/** Words that say nothing about what a text is about. */
export const commonWords: ReadonlySet<string> = new Set(
  `a about after all also am an and any are as at be been before between both but by can could did do does each end
  every few for from get give had has have he her here his how i if in include into is it its just less like
  make may me more most must my named no not of on one only or other our out please say sentence sentences she should
  show so some start such take tell than that the their them then there these they this those three through to two up
  use using was we were what when where which while who why will with without word words would write written yes you
  your below again answer response exactly least using wrap contain contains containing mention including keep avoid
  give first second third last letter letters comma commas paragraph paragraphs bullet points title titles section
  sections keyword keywords phrase phrases instruction instructions requirement requirements lowercase uppercase
  capital capitals divider smells colours colors placeholder placeholders brackets markdown separated different following entire reply numbered
  anything everything something whether against because should short long
  describe explain compose create summarize summarise suggest recommend compare translate rewrite invent draft outline
  define argue convince imagine pretend prepare plan curious brief friendly formal funny`.split(
    /\s+/,
  ),
);
