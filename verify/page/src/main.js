// Starts the page.

import { checkBundle } from "./check.js";

// For whoever drives the page by hand or from a program.
globalThis.daybook = Object.freeze({ checkBundle });
