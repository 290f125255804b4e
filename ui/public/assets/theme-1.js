/* Sets the theme before the first paint. */
try {
  const theme = localStorage.getItem("caldrop.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  /* storage is off: the system's theme */
}
