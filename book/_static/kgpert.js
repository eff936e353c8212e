// A figure is a link to its own file: a click or Enter opens it alone, as large as the window.
document.addEventListener("DOMContentLoaded", () => {
  for (const image of document.querySelectorAll(".bd-article img")) {
    if (image.closest("a")) continue;
    const link = document.createElement("a");
    link.className = "enlarge";
    link.href = image.src;
    link.title = "Open the figure alone";
    image.replaceWith(link);
    link.append(image);
  }
  // What scrolls sideways can be reached by the keyboard.
  for (const box of document.querySelectorAll(".bd-article :is(.output, .kgpert-card .table, .pst-scrollable-table-container)")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
});
