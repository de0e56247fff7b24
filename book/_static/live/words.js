/* What is said of the feature maps, in words. */
(() => {
  "use strict";

  const live = (globalThis.cifarcamLive ??= {});
  const { percent, signed } = live.panel;
  const FIRST = 10; // feature maps whose part of all effects is told

  /* A class and its score as parts of sentences, where "and not" another class is asked for, too. */
  const namesOf = (target, against) => {
    const { classes } = live.data;
    const name = classes[target];
    if (against === null) return { name, contrary: `against ${name}`, score: `the score for ${name}` };
    const other = classes[against];
    return {
      name: `${name} rather than ${other}`,
      contrary: `for ${other} rather than ${name}`,
      score: `the lead of ${name} over ${other}`,
    };
  };

  /* What is said of the gradient under its picture, and after the sentence on gradients. */
  const GRADIENTS = {
    "grad-cam": (weight) => `its gradient, mean ${signed(weight)}`,
    "grad-cam++": (weight) => `its gradient, weight ${signed(weight)}`,
    "hires-cam": () => "its gradient",
    "layer-cam": () => "its gradient, where positive",
  };
  const WEIGHTS = {
    "grad-cam": "Its mean over all positions is the weight of this feature map.",
    "grad-cam++": "The weight is a sum of the positive gradients, each scaled by its share in the score.",
    "hires-cam": "HiResCAM takes no mean. It weights each position with its own gradient.",
    "layer-cam": "LayerCAM takes no mean. It weights each position with its own gradient, where that is positive.",
  };
  const BY_POSITION = ["hires-cam", "layer-cam"];

  const explanations = ({ method, names, title, count, height, width, hasLess }) => [
    `A feature map is what one filter of the network sees: dark where the filter finds its pattern in ` +
      `this picture. There are ${count} feature maps in ${title}, of ${height} × ${width} positions each.`,
    `The gradient tells how ${names.score} changes where the feature map grows a little. Red: it ` +
      `rises. ${method === "layer-cam" ? "" : "Blue: it falls. "}${WEIGHTS[method]}`,
    `Feature map times ${BY_POSITION.includes(method) ? "gradient" : "weight"} is what this feature map ` +
      `adds. Red speaks for ${names.name}${hasLess ? `, blue speaks ${names.contrary}` : ""}.`,
    "All feature maps are added, position by position." +
      (hasLess ? " Where some speak for and others against, they cancel each other." : ""),
    hasLess
      ? `What is negative is cut off, because it speaks ${names.contrary}. The rest is enlarged to the ` +
        "picture: this is the heatmap."
      : "The sum is enlarged to the picture: this is the heatmap.",
  ];

  const speak = (number) => `${number} ${number === 1 ? "speaks" : "speak"}`;

  const finding = ({ added, count, hasHeat, order, shares, title, names }) => {
    const isFor = added.filter((value) => value > 0).length;
    const isAgainst = added.filter((value) => value < 0).length;
    if (!isFor) return `None of the ${count} feature maps of ${title} speaks for ${names.name}.`;
    const few = Math.min(FIRST, isFor);
    const share = percent(order.slice(0, few).reduce((sum, map) => sum + shares[map], 0));
    const end = hasHeat
      ? ""
      : " At every position more is taken away than added, so that the heatmap is empty.";
    return (
      `Of the ${count} feature maps of ${title}, ${speak(isFor)} for ${names.name}, ${isAgainst || "none"} against, ` +
      `and ${count - isFor - isAgainst} add nothing. The first ${few} make up ${share} of all that is ` +
      `added or taken away.${end}`
    );
  };

  /* Where a map has its maximum, for those who do not see it. */
  const place = (values, width) => {
    const at = values.reduce((best, value, i) => (value > values[best] ? i : best), 0);
    return `row ${Math.floor(at / width) + 1}, column ${(at % width) + 1}`;
  };

  live.insideWords = { GRADIENTS, explanations, finding, namesOf, place };
})();
