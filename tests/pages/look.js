// What a reader meets on one page: evaluated in the browser by conftest.py.
() => {
  const article = document.querySelector(".bd-article");
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const background = (element) => {
    const layers = [];
    for (let node = element; node; node = node.parentElement) {
      layers.unshift(rgba(getComputedStyle(node).backgroundColor));
    }
    return layers.reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.map((v) => (v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (element) => {
    const below = background(element);
    const text = luminance(over(rgba(getComputedStyle(element).color), below));
    const [dark, light] = [text, luminance(below)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const ownText = (element) =>
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim());
  const prose = "p, li, dt, dd, td, th, a, em, strong, figcaption, .caption-text, h1, h2, h3, h4, code, pre";
  const texts = [...article.querySelectorAll(prose)].filter(
    (e) => ownText(e) && e.checkVisibility() && !e.matches(".headerlink"),
  );
  const describe = (e) => `${e.tagName.toLowerCase()} ${JSON.stringify(e.textContent.trim().slice(0, 40))}`;
  const ids = [...document.querySelectorAll("[id], a[name]")].map((e) => e.id || e.name);
  return {
    title: document.title,
    headings: [...article.querySelectorAll("h1")].map((e) => e.textContent.trim()),
    theme: document.documentElement.dataset.theme,
    words: article.innerText.split(/\s+/).length,
    faint: texts.filter((e) => contrast(e) < 4.5).map((e) => `${describe(e)} ${contrast(e).toFixed(2)}`),
    width: document.documentElement.clientWidth,
    overflow: [...document.body.querySelectorAll(".bd-article, .bd-article > *, .bd-article section > *")]
      .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
      .map(describe),
    scroll: document.documentElement.scrollWidth,
    images: [...article.querySelectorAll("img")].map((e) => ({
      src: e.src.slice(0, 200),
      alt: e.alt.trim(),
      loaded: e.complete && e.naturalWidth > 0,
      ground: background(e),
      width: Math.round(e.getBoundingClientRect().width),
      scrolls: getComputedStyle(e.parentElement).overflowX === "auto" && e.parentElement.matches("a[href]"),
    })),
    captions: [...article.querySelectorAll("figcaption, table caption")].map((e) => getComputedStyle(e).fontWeight),
    tables: [...article.querySelectorAll("table")].map((e) => {
      const box = e.closest(".kgpert-card .table, .output, .pst-scrollable-table-container") || e.parentElement;
      return {
        head: describe(e.tHead || e),
        cut: Math.round(e.getBoundingClientRect().width - box.clientWidth),
        scores: e.matches(".scores"),
        caption: (e.caption?.textContent || "").trim(),
        scrolls: ["auto", "scroll"].includes(getComputedStyle(box).overflowX),
        shadow: getComputedStyle(box).backgroundImage.includes("gradient"),
        focus: box.tabIndex >= 0,
      };
    }),
    maths: article.querySelectorAll(".math").length,
    typeset: article.querySelectorAll("mjx-container").length,
    ids,
    links: [...document.querySelectorAll("a[href]")].map((e) => e.href),
  };
}
