import { runService } from '@omg/service-kit';
import { MonitorModule } from './app.module.js';
import { openMonitor, SECTIONS } from './open-monitor.js';

await runService({
  name: 'health-monitor',
  sections: SECTIONS,
  // It opens secrets of routes and never sees an API key.
  exceptSecrets: ['secrets.api_key_pepper'],
  listenAddr: (config) => config.monitor.listenAddr,
  start(context) {
    openMonitor(context);
    return { module: MonitorModule };
  },
});
