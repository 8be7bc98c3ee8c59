// Starts the page.

import { checkBundle } from "./check.js";

globalThis.checkBundle = checkBundle;
