#!/usr/bin/env node
// What `npx fasttunnel` runs.
import { main } from './main.js';

void main(process.argv.slice(2));
