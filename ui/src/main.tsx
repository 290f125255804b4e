import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { watchFlow } from "./api/live";
import "./design/tokens.css";
import "./design/app.css";
import { App } from "./frame/App";

watchFlow(false);
const root = document.getElementById("root");
if (root) createRoot(root).render(<StrictMode><App /></StrictMode>);
