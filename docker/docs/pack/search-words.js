// Stands before the search worker of Material for MkDocs and teaches its lunr four things, with lunr's own interface:
//   word forms   `rotate`, `rotated` and `rotation` find each other, while a word that is still being typed matches as it did
//   whole words  the site's separator splits `PowerShell`; `powershell` finds it all the same
//   all first    sections with every word of the query come before those with beginnings of all, and these before the rest
//   flags        `--dry-run` is a search for dry and run, not for pages without them
// The worker asks with messages of type 2; its table of tokens holds (start << 12 | length << 2) for each position.
(() => {
  const QUERY = 2;
  // More than the weight of a title.
  const ALL_FIRST = 1e6;
  // No word begins with it, so a stem is matched as a whole and never offered as a completion.
  const STEM = "\u0001";

  function place({ metadata: { position } }) {
    const entry = self.lunr.tokenizer.table[position >>> 20]?.[position & 0xfffff];
    return { block: position >>> 20, start: entry >>> 12, end: (entry >>> 12) + ((entry >>> 2) & 1023) };
  }

  /** The tokens, and after each run of tokens that touch each other the word that they make. */
  function withWholeWords(tokens) {
    const all = [];
    for (let first = 0, next; first < tokens.length; first = next) {
      let here = place(tokens[first]);
      for (next = first + 1; next < tokens.length; next += 1) {
        const after = place(tokens[next]);
        if (after.block !== here.block || after.start !== here.end) break;
        here = after;
      }
      const run = tokens.slice(first, next);
      all.push(...run);
      if (run.length > 1) all.push(run[0].clone(() => run.map(String).join("")));
    }
    return all;
  }

  function teach(lunr) {
    const { stemmer } = lunr;
    const stems = new Map();
    const stem = (text) => {
      if (!stems.has(text)) stems.set(text, STEM + stemmer(new lunr.Token(text)));
      return stems.get(text);
    };
    lunr.stemmer = (token) => [token, token.clone(stem)];
    lunr.Pipeline.registerFunction(lunr.stemmer, "stems");

    const { add } = lunr.Builder.prototype;
    lunr.Builder.prototype.add = function addWithWholeWords(...document) {
      if (!this.hasWholeWords) {
        const { tokenizer } = this;
        this.tokenizer = (field) => withWholeWords(tokenizer(field));
        this.hasWholeWords = true;
      }
      return add.apply(this, document);
    };

    const { query } = lunr.Index.prototype;
    lunr.Index.prototype.query = function queryWithForms(fill) {
      const words = new Set();
      const forms = new Map();
      const results = query.call(this, (asked) => {
        fill.call(asked, asked);
        // Of a word with parts, such as `idempotency-key`, only the last is asked for as a beginning: `key*`.
        for (const clause of [...asked.clauses]) {
          const isBeginning = clause.term.endsWith("*");
          if (isBeginning) clause.usePipeline = false;
          if (clause.presence !== lunr.Query.presence.OPTIONAL) continue;
          const word = isBeginning ? clause.term.slice(0, -1) : clause.term;
          words.add(word);
          for (const form of this.pipeline.runString(word)) if (form !== word) forms.set(form, word);
          if (isBeginning) asked.clause({ term: word, fields: clause.fields, boost: clause.boost });
        }
      });
      for (const result of results) {
        const { metadata } = result.matchData;
        // The page lists what was not found and marks what was by the words of the query: a form counts as its word.
        for (const [form, word] of forms) {
          if (!(form in metadata)) continue;
          metadata[word] = { ...metadata[word], ...metadata[form] };
          delete metadata[form];
        }
        const terms = Object.keys(metadata);
        if ([...words].every((word) => terms.some((term) => term.startsWith(word)))) result.score *= ALL_FIRST;
        if ([...words].every((word) => word in metadata)) result.score *= ALL_FIRST;
      }
      return results;
    };
  }

  let taught = false;
  addEventListener("message", ({ data }) => {
    if (!taught && self.lunr) {
      teach(self.lunr);
      taught = true;
    }
    if (data?.type === QUERY && typeof data.data === "string") data.data = data.data.replace(/(^|\s)--(?=\w)/g, "$1");
  });
})();
