// Texts to begin with, one for each of the kinds of feature that people look for first.
export const sampleTexts: readonly { name: string; text: string }[] = [
  { name: 'German', text: 'Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt.' },
  { name: 'English', text: 'The committee met on 4 July 1776 & agreed that everyone has the right to life, liberty and the security of person.' },
  { name: 'Japanese', text: 'すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。' },
  { name: 'Hebrew', text: 'כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם.' },
  { name: 'Code', text: 'for (const row of rows) {\n  total += row.value; // sum\n}\nreturn total / rows.length;' },
  { name: 'LaTeX', text: 'Let $f(x) = \\frac{1}{\\sqrt{2\\pi}} e^{-x^2/2}$ be the density, so that $\\int_{-\\infty}^{\\infty} f(x)\\,dx = 1$.' },
];
