// Texts of the fixture site: a few sentences a language, chosen for what the page must cope with: characters that span
// tokens (Japanese, Chinese, Cyrillic, emoji), right-to-left script, markup, code with newlines and tabs.

export interface FixtureText {
  lang: string;
  source: string;
  sentences: readonly string[];
}

export const fixtureTexts: readonly FixtureText[] = [
  {
    lang: 'de',
    source: 'udhr',
    sentences: [
      'Alle Menschen sind frei und gleich an Würde und Rechten geboren.',
      ' Sie sind mit Vernunft und Gewissen begabt und sollen einander im Geiste der Brüderlichkeit begegnen.',
      ' Jeder hat das Recht auf Leben, Freiheit und Sicherheit der Person.',
      ' Niemand darf der Folter oder grausamer, unmenschlicher oder erniedrigender Behandlung unterworfen werden.',
      ' Die Verantwortung für die Durchführung übernimmt das zuständige Ministerium.',
      ' Während des Frühlings wachsen überall kräftige Sträucher zwischen den Häusern.',
    ],
  },
  {
    lang: 'en',
    source: 'udhr',
    sentences: [
      'All human beings are born free and equal in dignity and rights.',
      ' They are endowed with reason and conscience and should act towards one another in a spirit of brotherhood.',
      ' Everyone has the right to life, liberty and the security of person.',
      ' No one shall be held in slavery or servitude; slavery and the slave trade shall be prohibited in all their forms.',
      ' The committee met at noon & adjourned without a vote (again).',
    ],
  },
  {
    lang: 'ja',
    source: 'udhr',
    sentences: [
      'すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。',
      '人間は、理性と良心とを授けられており、互いに同胞の精神をもって行動しなければならない。',
      '驚くべき鱗の鯱が躍る。',
    ],
  },
  { lang: 'zh', source: 'udhr', sentences: ['人人生而自由，在尊严和权利上一律平等。', '他们赋有理性和良心，并应以兄弟关系的精神相对待。'] },
  { lang: 'he', source: 'udhr', sentences: ['כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם.', ' כולם חוננו בתבונה ובמצפון.'] },
  { lang: 'ru', source: 'udhr', sentences: ['Все люди рождаются свободными и равными в своем достоинстве и правах.', ' Они наделены разумом и совестью.'] },
  {
    lang: 'fr',
    source: 'udhr',
    sentences: ['Tous les êtres humains naissent libres et égaux en dignité et en droits.', ' Ils sont doués de raison et de conscience.'],
  },
  {
    lang: 'html',
    source: 'code',
    sentences: [
      '<script>document.body.dataset.injected = "yes"</script>\n',
      '<img src=x onerror="document.body.dataset.injected=\'yes\'">\n\t<b>bold</b> &amp; <i>italic</i>\n',
      'for (const row of rows) {\n    total += row.value;\n}\r\n// done 🎉🎉 \u202egnp.exe\n',
    ],
  },
];
