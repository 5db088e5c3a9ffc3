import { title } from './title.js';

const show = (text) => {
  document.querySelector('#title').textContent = text;
};

show(title);
document.querySelector('#origin').textContent = location.origin;

// Only what has changed is loaded again: what the page knows stays.
import.meta.hot.accept('./title.js', (changed) => show(changed.title));
