import { runService } from '@omg/service-kit';
import { SECTIONS } from './config.js';
import { buildRecorder } from './recorder.js';

await runService({
  name: 'usage-recorder',
  sections: SECTIONS,
  // The recorder opens sealed settings and never checks an API key.
  exceptSecrets: ['secrets.api_key_pepper'],
  listenAddr: (config) => config.recorder.listenAddr,
  start: buildRecorder,
});
