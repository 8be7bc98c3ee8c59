// Starts the page.

import { checkBundle } from "./check.js";
import { startUI } from "./ui.js";

// For whoever drives the page by hand or from a program.
globalThis.daybook = Object.freeze({ checkBundle });
startUI();
