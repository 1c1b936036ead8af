import calculateSlot from 'cluster-key-slot';
import { Cluster, type Redis } from 'ioredis';
import { Circuit, type CircuitOptions } from './circuit.js';

export interface GuardOptions extends CircuitOptions {
  /** Told when a circuit opens (with the reason) and closes, and on a cluster of which node (`host:port`). */
  onCircuit?: (state: 'open' | 'closed', reason: string, node?: string) => void;
}

/**
 * The circuit of each Redis server: one, or on a cluster one per node, so that a node that is away takes only its own tenants with it.
 * There are never more than nodes that the cluster has had.
 */
export class Circuits {
  private readonly circuits = new Map<string, Circuit>();

  constructor(
    private readonly client: Redis | Cluster,
    private readonly options: GuardOptions,
  ) {}

  get someOpen(): boolean {
    return [...this.circuits.values()].some((circuit) => circuit.isOpen);
  }

  /** Of the server that has this key. */
  of(key: string): Circuit {
    const { client } = this;
    const node = client instanceof Cluster ? (client.slots[calculateSlot(key)]?.[0] ?? '') : '';
    let circuit = this.circuits.get(node);
    if (!circuit) {
      circuit = client instanceof Cluster ? this.ofNode(client, node, key) : this.ofServer(client);
      this.circuits.set(node, circuit);
    }
    return circuit;
  }

  close(): void {
    for (const circuit of this.circuits.values()) circuit.close();
  }

  private ofServer(client: Redis): Circuit {
    return new Circuit({ probe: () => client.ping(), reconnect: () => client.disconnect(true) }, this.options, this.told());
  }

  private ofNode(cluster: Cluster, node: string, key: string): Circuit {
    return new Circuit(
      {
        // By way of its key, so that it finds the node that has it by then, as the calls that wait for this circuit will.
        probe: () => cluster.exists(key),
        reconnect: () =>
          cluster
            .nodes()
            .find(({ options }) => `${options.host}:${options.port}` === node)
            ?.disconnect(true),
      },
      this.options,
      this.told(node),
    );
  }

  private told(node?: string) {
    return (state: 'open' | 'closed', reason: string): void => this.options.onCircuit?.(state, reason, node);
  }
}
