// Fits what is wider than the column: a table, whose short cells stay on one line, gets smaller letters, and where
// these do not help a page across; a formula shrinks.
([column, across]) => {
  for (const table of document.querySelectorAll("main table")) {
    for (const cell of table.matches(".dataframe") ? table.tBodies[0].querySelectorAll("th, td") : []) {
      if (cell.textContent.trim().length <= 24) cell.style.whiteSpace = "nowrap";
    }
    const box = table.parentElement;
    const wider = (width) => table.getBoundingClientRect().width > width + 0.5;
    if (wider(box.clientWidth)) box.classList.add("small");
    if (wider(box.clientWidth)) box.classList.add("across");
    if (wider(across)) table.style.zoom = across / table.getBoundingClientRect().width;
  }
  for (const formula of document.querySelectorAll("main mjx-container[display]")) {
    const { right } = formula.querySelector("mjx-math").getBoundingClientRect();
    const room = column - formula.getBoundingClientRect().left;
    const width = right - formula.getBoundingClientRect().left;
    if (width > room) formula.style.zoom = room / width;
  }
}
