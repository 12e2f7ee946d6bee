// Lets import statements find what NODE_PATH names, which only require does by itself.
import { pathToFileURL } from "node:url";

const parentURL = pathToFileURL(process.env.NODE_PATH + "/../x.js").href;

export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND" || /^[./]|^[a-z]+:/.test(specifier)) throw error;
    return next(specifier, { ...context, parentURL });
  }
}
