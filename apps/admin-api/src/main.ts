import { runService } from '@omg/service-kit';
import { adminService } from './admin-service.js';

await runService(adminService);
