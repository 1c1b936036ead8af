import { Controller, Get } from '@nestjs/common';
import { providerListSchema } from '@omg/contracts';
import { listProviders, type ProviderCapabilities } from '@omg/providers';
import { Permission } from '../http/permission.js';
import { Returns } from '../http/returns.js';

@Controller('admin/providers')
export class ProvidersController {
  @Get()
  @Permission('any:viewer')
  @Returns(providerListSchema, { summary: 'List the providers that catalog entries can name' })
  list() {
    const providers = listProviders().map(({ slug, title, description, capabilities, secretSettings }) => ({
      name: slug,
      title,
      description,
      capabilities: capabilityNames(capabilities),
      secret_settings: [...secretSettings].sort(),
    }));
    return { providers: providers.sort((a, b) => (a.name < b.name ? -1 : 1)) };
  }
}

function capabilityNames({ chat, embeddings, images }: ProviderCapabilities): string[] {
  return [...(chat ? ['chat'] : []), ...(chat?.stream ? ['chat_stream'] : []), ...(embeddings ? ['embeddings'] : []), ...(images ? ['images'] : [])];
}
