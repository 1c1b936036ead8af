import { Body, Controller, Get, Param, Post, Query, Res } from '@nestjs/common';
import { createUserSchema, listUsersQuerySchema, resetPasswordSchema, userListSchema, userSchema, userTenantsSchema, uuidSchema } from '@omg/contracts';
import type { FastifyReply } from 'fastify';
import type { Parsed } from '../http/paging.js';
import { Caller, Permission } from '../http/permission.js';
import type { Principal } from '../http/principal.js';
import { Returns } from '../http/returns.js';
import { userBody } from './user-body.js';
import { UsersService } from './users.service.js';

@Controller('admin/users')
export class UsersController {
  constructor(private readonly users: UsersService) {}

  @Get()
  @Permission('any:admin')
  @Returns(userListSchema, { summary: 'List users' })
  list(@Caller() caller: Principal, @Query({ schema: listUsersQuerySchema }) query: Parsed<typeof listUsersQuerySchema>) {
    return this.users.list(caller, query);
  }

  @Post()
  @Permission('super_admin')
  @Returns(userSchema, { status: 201, summary: 'Create a user; 200 with the account as it is when the mail is known' })
  async create(
    @Caller() caller: Principal,
    @Body({ schema: createUserSchema }) body: Parsed<typeof createUserSchema>,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const { user, created } = await this.users.create(caller, body);
    if (!created) void reply.status(200);
    return userBody(user);
  }

  @Get(':userId/tenants')
  @Permission('any:admin')
  @Returns(userTenantsSchema, { summary: "List a user's organizations" })
  tenants(@Caller() caller: Principal, @Param('userId', { schema: uuidSchema }) userId: string) {
    return this.users.tenantsOf(caller, userId);
  }

  @Post(':userId/password')
  @Permission('super_admin')
  @Returns(undefined, { summary: 'Set a new password and end all sessions of the user; with `revoke_tokens` his admin API tokens as well' })
  async resetPassword(
    @Caller() caller: Principal,
    @Param('userId', { schema: uuidSchema }) userId: string,
    @Body({ schema: resetPasswordSchema }) body: Parsed<typeof resetPasswordSchema>,
  ): Promise<void> {
    await this.users.resetPassword(caller, userId, body);
  }
}
